"""The HTML page of a result file: bench/report RESULT.json [--out FOLDER] [--document FILE --plots FOLDER]"""

import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import report  # noqa: E402
from report import manual  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="python3 bench/report", description="Writes report.html and plots/*.svg of a result file.",
                                     epilog="Exit status: 0 written, 64 usage, 65 the file is no result, or the document has no place for it.")
    parser.exit_on_error = False
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="the folder (that of the result file)")
    parser.add_argument("--document", type=pathlib.Path, help="a Markdown file whose figures are written anew instead")
    parser.add_argument("--plots", type=pathlib.Path, help="with --document: where the plots go (plots/ beside the result file)")
    try:
        options = parser.parse_args()
    except (argparse.ArgumentError, SystemExit) as error:
        return 0 if getattr(error, "code", 64) == 0 else 64
    try:
        result = report.load(options.result)
        if options.document:
            manual.write(report.Result(result), options.document, options.plots or options.result.parent / "plots")
            path = options.document
        else:
            path = report.write(result, options.out or options.result.parent)
    except (report.Unusable, manual.NoMarks) as error:
        print(f"report: {error}", file=sys.stderr)
        return 65
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
