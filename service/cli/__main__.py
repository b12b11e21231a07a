"""Entry point of `python -m service.cli`, for machines where the script is not on PATH."""

import sys

from service.cli.main import main

sys.exit(main())
