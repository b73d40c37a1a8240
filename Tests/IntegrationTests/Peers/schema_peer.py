"""Checks events, one a line, against the JSON Schema of CloudEvents. Arguments: folder of jsonschema, the schema, the events."""
import json
import sys

sys.path.insert(0, sys.argv[1])

import jsonschema  # noqa: E402

with open(sys.argv[2]) as file:
    validator = jsonschema.Draft7Validator(json.load(file))
count = 0
with open(sys.argv[3]) as file:
    for line in file:
        validator.validate(json.loads(line))
        count += 1
print(f"{count} events fit the schema")
