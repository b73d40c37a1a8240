// The same classes for ES modules: an error that a handler throws must be of the class that the runtime knows.
import apus from "./index.js";

export const { Event, InvalidData, NotAvailable, Reject, Response, Retry } = apus;
export default apus;
