"""`python -m service.cli`, for where the script is not on PATH."""

import sys

from service.cli.main import main

sys.exit(main())
