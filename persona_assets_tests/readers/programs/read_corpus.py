"""Print each shard of a corpus folder and its texts as a JSON line: `read_corpus.py ROOT`."""

import json
import sys
from pathlib import Path

from persona_assets.readers import TextRecord
from persona_assets.resources.corpus_folder import Corpus

corpus = Corpus(Path(sys.argv[1]))
for key in corpus.shards():
    texts = [record.text for record in corpus.read(key) if isinstance(record, TextRecord)]
    print(json.dumps([key, texts]))
