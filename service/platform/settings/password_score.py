"""A program of its own: print zxcvbn's score, from 0 to 4, of the password on stdin.

Its arguments are words that a guesser of this password tries first.
"""

import sys

from zxcvbn import zxcvbn

if __name__ == "__main__":
    sys.stdout.write(str(zxcvbn(sys.stdin.read(), user_inputs=sys.argv[1:])["score"]))
