"""Every room's tables. Importing this module registers all of them with `Base.metadata`.

Foreign keys name tables and not classes, so that no room needs another room's models; SQLAlchemy
looks a key's table up when it first writes a row. Whatever opens sessions or compares schemas
imports `Base` from here.
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
