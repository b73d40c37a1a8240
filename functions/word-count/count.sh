#!/bin/sh
# Counts the words of a text; the text comes on standard input. awk, because it is on every machine.
set -eu

if [ "${CE_DATACONTENTTYPE:-text/plain}" = application/octet-stream ]; then
  echo "word-count takes text, not $CE_DATACONTENTTYPE" >&2
  exit 65
fi

echo 'datacontenttype=application/json' >&3
exec awk '
  { for (at = 1; at <= NF; at++) { word = tolower($at); gsub(/[^[:alnum:]]/, "", word); if (word != "") { words++; seen[word]++ } } }
  END {
    for (word in seen) { unique++; if (seen[word] > most || (seen[word] == most && word < top)) { most = seen[word]; top = word } }
    printf "{\"lines\": %d, \"words\": %d, \"unique\": %d, \"top\": \"%s\"}\n", NR, words, unique, top
  }'
