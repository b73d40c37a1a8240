"""What a shop does in the background. Orders and reviews may be such that they fail: `broken` says how."""
import time


def plan_shipment(event, context):
    order = event.data
    print(f"order {order['order']}: {order['items']} items to {order['city']}")
    if order.get("broken"):
        raise KeyError(f"no carrier serves the postcode {order['broken']}")
    if order.get("flaky") and context.attempt == 1:
        raise TimeoutError("the carrier's price list did not come in time")
    time.sleep(0.001 * order["items"])
    return {"order": order["order"], "carrier": "north" if order["items"] > 5 else "city bikes"}


def detect_fraud(event, context):
    order = event.data
    score = (order["order"] * 7919 % 1000) / 1000
    if score > 0.97:
        print(f"order {order['order']} scores {score}: somebody should look at it")
    return {"order": order["order"], "score": score}


def moderate_review(event, context):
    review = event.data
    if review.get("broken"):
        raise ValueError(f"the review is in {review['broken']}, which the model does not read")
    print(f"review {review['review']}: fine")
    return {"review": review["review"], "isShown": True}


def summarize_ticket(event, context):
    text = event.data.get("text", "") if isinstance(event.data, dict) else str(event.data)
    time.sleep(0.02)
    return {"summary": text.split(".")[0], "words": len(text.split())}


def nightly_report(event, context):
    print("adding up the day")
    for done in range(1, 4):
        time.sleep(0.05)
        context.progress(done, 3, "counting")
    return {"orders": 1284, "reviews": 97}


def refund_order(event, context):
    return f"refunded order {event.data['order']}"
