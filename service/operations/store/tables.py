"""All tables: importing this module registers them with `Base.metadata`.

Foreign keys name tables, not classes, so that no room needs another room's models; SQLAlchemy
resolves the table when it first writes a row. Code that opens sessions or compares schemas imports
`Base` from here.
"""

import service.bounces.store.models
import service.deliveries.store.models
import service.editions.store.models
import service.papers.store.models
import service.sending.store.models
import service.similarity.store.models
import service.subscribers.store.models
import service.topics.store.models  # noqa: F401  # each registers its own
from service.platform.database.base import Base

__all__ = ["Base"]
