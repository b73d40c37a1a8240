"""Reads the licence texts of this machine, has them embedded, asks three questions, and checks itself.

    python3 examples/semantic-search/run.py [--apus PATH] [--licences FOLDER]

A server must be running; the command line finds it and its token by itself (APUS_SERVER, APUS_TOKEN). Only the standard
library is used: everything else happens in Apus. The exit code is 0 when every check held.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time

import passages

HERE = os.path.dirname(os.path.abspath(__file__))
DEPLOY_SECONDS_MAX = 900
EMBED_SECONDS_MAX = 600
CALL_SECONDS_MAX = 120

# What must be among the five nearest passages: a phrase, and the licences it may come from. The licence that the first question
# aims at, the Affero GPL, is not among Debian's files; nearest to it come the licences that ask for the source of what one passes on.
QUESTIONS = [
    ("Which licence makes me publish source to users over a network?", "source code", {"GPL-1", "GPL-2", "GPL-3", "MPL-1.1", "MPL-2.0"}),
    ("What are the special requirements about interaction through a network?", "Affero", {"GPL-3"}),
    ("What happens to my licence if I sue someone over patents?", "patent", {"MPL-2.0", "MPL-1.1", "Apache-2.0", "GPL-3"}),
]


class Failed(Exception):
    """A check did not hold, or a command failed."""


class Apus:
    """The command line of Apus."""

    def __init__(self, binary):
        self.binary = binary

    def __call__(self, *arguments, limit=CALL_SECONDS_MAX, show=False):
        try:
            done = subprocess.run([self.binary, *arguments], stdout=None if show else subprocess.PIPE, text=True, timeout=limit,
                                  stderr=None if show else subprocess.PIPE, check=False)
        except FileNotFoundError:
            raise Failed(f"there is no program {self.binary}: build it, or name it with --apus") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"`apus {' '.join(arguments)}` took more than {limit} s") from None
        if done.returncode != 0:
            why = "" if show else f": {done.stderr.strip() or done.stdout.strip()}"
            raise Failed(f"`apus {' '.join(arguments)}` ended with {done.returncode}{why}")
        return done.stdout

    def json(self, *arguments, **more):
        text = self(*arguments, **more)
        try:
            return json.loads(text)
        except ValueError:
            raise Failed(f"`apus {' '.join(arguments)}` printed no JSON: {text[:200]!r}") from None


def seconds(action):
    start = time.monotonic()
    result = action()
    return result, time.monotonic() - start


def embeddings(apus, count):
    """The events of the topic `embeddings` that are there now, at most `count`: key, partition and offset of each."""
    text = apus("consume", "embeddings", "--from", "earliest", "--count", str(count), "--output", "json")
    events = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [(event["key"], int(event["partition"]), int(event["offset"])) for event in events]


def wait_for_embeddings(apus, keys):
    """Waits until each passage is there, and checks that none was appended twice: compaction would hide it, its offset does not."""
    deadline = time.monotonic() + EMBED_SECONDS_MAX
    seen = -1
    while True:
        # One more than there may be, to see if there is.
        records = embeddings(apus, len(keys) + 1)
        if len(records) != seen:
            seen = len(records)
            print(f"  {seen} of {len(keys)} passages embedded", flush=True)
        if seen >= len(keys):
            break
        if time.monotonic() > deadline:
            raise Failed(f"only {seen} of {len(keys)} passages were embedded within {EMBED_SECONDS_MAX} s: see `apus logs embed-text`")
        time.sleep(1)
    found = sorted(key for key, _, _ in records)
    if found != sorted(keys):
        missing = sorted(set(keys) - set(found))[:3]
        raise Failed(f"the embeddings are not those of the passages; missing for example {missing}")
    ends = {}
    for _, partition, offset in records:
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    if sum(ends.values()) != len(keys):
        raise Failed(f"{sum(ends.values())} embeddings were appended for {len(keys)} passages: {ends}")


def ask(apus, question, word, licences):
    answer, took = seconds(lambda: apus.json("invoke", "search", "--data", json.dumps({"question": question, "count": 5})))
    print(f"\n{question}   ({took * 1000:.0f} ms)")
    for number, passage in enumerate(answer["answers"], 1):
        text = textwrap.shorten(passage["text"].partition(": ")[2], 300, placeholder=" ...")
        print(f"  {number}. {passage['source']} ({passage['score']:.2f})")
        print(textwrap.fill(text, 112, initial_indent="     ", subsequent_indent="     "))
    if not any(word.lower() in each["text"].lower() and each["source"] in licences for each in answer["answers"]):
        raise Failed(f"no answer to '{question}' has '{word}' and is from one of {', '.join(sorted(licences))}")
    return answer


def run(apus, folder):
    events = list(passages.events(folder))
    if not events:
        raise Failed(f"{folder} holds no licence texts: name another folder with --licences")
    files = len({event["data"]["source"] for event in events})
    print(f"{len(events)} passages of {files} licences from {folder}")

    print("deploying two topics and two functions (the first time, their packages are fetched)", flush=True)
    _, took = seconds(lambda: apus("deploy", os.path.join(HERE, "apus.yaml"), limit=DEPLOY_SECONDS_MAX, show=True))
    print(f"deployed in {took:.1f} s")

    sample = json.dumps({"text": events[0]["data"]["text"]})
    first, cold = seconds(lambda: apus.json("invoke", "embed-text", "--data", sample))
    _, warm = seconds(lambda: apus.json("invoke", "embed-text", "--data", sample))
    if len(first["vector"]) != 384:
        raise Failed(f"an embedding has {len(first['vector'])} numbers instead of 384")
    print(f"first embedding, from no worker at all: {cold * 1000:.0f} ms; the next: {warm * 1000:.0f} ms (with the command's own start)")

    with tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8") as file:
        file.writelines(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        file.flush()
        start = time.monotonic()
        apus("publish", "passages", "--file", file.name)
    published = time.monotonic() - start
    wait_for_embeddings(apus, [event["key"] for event in events])
    took = time.monotonic() - start
    print(f"published in {published * 1000:.0f} ms; all embedded, each exactly once, after {took:.1f} s: {len(events) / took:.0f} passages/s")

    for question, word, licences in QUESTIONS:
        answer = ask(apus, question, word, licences)
        if answer["passages"] != len(events):
            raise Failed(f"search holds {answer['passages']} passages instead of {len(events)}")
    print("\neverything checked: each passage embedded once, each question answered from a licence that can answer it")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apus", default=os.environ.get("APUS_BINARY", "apus"), help="the apus program (default: from PATH)")
    parser.add_argument("--licences", default="/usr/share/common-licenses", help="the folder with the texts")
    options = parser.parse_args()
    try:
        run(Apus(options.apus), options.licences)
    except (Failed, OSError, KeyError) as error:
        reason = f"the output lacks {error}" if isinstance(error, KeyError) else error
        print(f"semantic-search: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
