"""Append records to a journal of at most 20 kB, and report the first record that does not fit.

Prints the number of records written, the error number, and True if the journal contains the record
that did not fit.

python -m persona_assets_tests.generation.programs.fill_journal JOURNAL
"""

import resource
import sys

from persona_assets.generation import CallRecord, Journal

LARGEST_FILE = 20_000


def main(path: str) -> None:
    with Journal(path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        for number in range(100):
            record = CallRecord(key=f"{number:032x}", status_code=200, body={"text": "x" * 700})
            try:
                journal.append(record)
            except OSError as error:
                print(number, error.errno, record.key in journal)
                break


if __name__ == "__main__":
    main(*sys.argv[1:])
