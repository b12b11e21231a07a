"""Every room's tables. Importing this module registers all of them with `Base.metadata`.

Foreign keys name tables and not classes, so that no room needs another room's models; SQLAlchemy
looks a key's table up when it first writes a row. Whatever opens sessions or compares schemas
imports `Base` from here.
"""

from service.bounces.store import models as bounces
from service.deliveries.store import models as deliveries
from service.deliveries.store import models_restores, models_sent_copies
from service.editions.store import models as editions
from service.editions.store import models_revisions
from service.papers.store import models as papers
from service.papers.store import models_paper_changes
from service.platform.database.base import Base
from service.sending.store import models_provider_limits
from service.similarity.store import models as similarity
from service.subscribers.store import models as subscribers
from service.subscribers.store import models_feedback
from service.topics.store import models as topics

__all__ = [
    "Base",
    "bounces",
    "deliveries",
    "editions",
    "models_feedback",
    "models_paper_changes",
    "models_provider_limits",
    "models_restores",
    "models_revisions",
    "models_sent_copies",
    "papers",
    "similarity",
    "subscribers",
    "topics",
]
