"""A digest of 25 invented papers by four topics, as long as real ones: to measure and to look at."""

from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection
from service.presentation.reasons import heading_says
from service.topics.domain.types import Reason
from support.mail.invented_digests import make_digest, make_entry

# Title, first sentences, primary and other categories, authors.
_DIFFUSION = (
    (
        "Fewer Steps, Same Picture: Distilling Diffusion Samplers by Matching Their Mistakes",
        "Diffusion models draw sharp pictures, but need many steps for each. We train a student that "
        "makes in four steps the same mistakes as its teacher makes in fifty. On five invented sets "
        "of pictures it loses at most 0.3 points of fidelity and is eleven times faster.",
        ("cs.CV", "cs.LG"),
        6,
    ),
    (
        "Diffusion on Curved Spaces Without a Chart",
        "Many data lie on spheres, rotations and other curved spaces. We define a diffusion there by "
        "its heat kernel alone, so that no chart and no projection is needed. The error of the score "
        "falls with the square root of the samples, which we prove and then measure.",
        ("stat.ML", "math.PR"),
        2,
    ),
    (
        "What Does a Diffusion Model Remember? Auditing Training Pictures by Their Shadows",
        "We ask whether a picture was used for training, from samples of the model alone. A test on "
        "the curvature of the learned score finds 81 of 100 planted pictures at a false-alarm rate of "
        "one in a thousand. Early stopping hides most of them, noise in the gradients all.",
        ("cs.CR", "cs.CV"),
        4,
    ),
    (
        "Latent Diffusion for Weather: Ensembles of a Fortnight on One Graphics Card",
        "Ensemble forecasts cost more than most services can pay. We forecast in the latent space of "
        "an autoencoder trained on forty invented years, and draw fifty members in nine minutes. The "
        "spread agrees with the error up to day eleven, as it should.",
        ("physics.ao-ph", "cs.LG"),
        9,
    ),
    (
        "Guidance Is a Tilt: A Short Proof and Three Consequences for Classifier-Free Diffusion",
        "Classifier-free guidance is usually explained as sharpening. We show in half a page that it "
        "samples from a tilted density only in the limit of small noise, and give the correction for "
        "all other noise. Two known failures follow, and a cure for one of them.",
        ("cs.LG", "stat.ML"),
        1,
    ),
    (
        "Discrete Diffusion Language Models Are Slow Readers: Measuring and Mending Their Recall",
        "Language models by discrete diffusion fill in words in any order. We find that they recall "
        "facts from the middle of a long text 23% less often than models that read from left to "
        "right, and mend two thirds of this by a schedule that unmasks names first.",
        ("cs.CL", "cs.LG"),
        5,
    ),
    (
        "Planning with Diffusion When the Map Is Wrong",
        "A robot that plans by diffusion trusts its map. We let the sampler doubt each wall in "
        "proportion to how long ago it was seen. In a simulated warehouse with moved shelves, robots "
        "arrive in 94% of the runs instead of 71%, and no plan takes longer to draw.",
        ("cs.RO", "cs.AI"),
        7,
    ),
    (
        "Protein Backbones by Diffusion over Frames: What the Loss Does Not See",
        "Diffusion over rigid frames designs backbones that look right and do not fold. We trace this "
        "to a loss that is blind to the handedness of helices, repair it in one line, and find that "
        "the share of designs that fold in silico rises from 34 to 52 of 100.",
        ("q-bio.BM", "cs.LG"),
        8,
    ),
    (
        "An Anisotropic Noise for Diffusion of Medical Volumes with Thick Slices",
        "Slices of clinical volumes are five times thicker than their pixels are wide. Diffusion with "
        "equal noise in all directions blurs across slices. Noise in proportion to the spacing keeps "
        "the edges of invented lesions within 0.4 mm, at no cost in time.",
        ("eess.IV", "cs.CV"),
        4,
    ),
    (
        "Score Matching at the Boundary: Reflected Diffusion Models with Provable Rates for Simplices",
        "Proportions lie on a simplex, and samples near its edges are the ones that matter. We reflect "
        "the process there, prove a rate for the score that does not suffer from the number of "
        "parts, and test it on budgets, ballots and mixtures of soil.",
        ("math.ST", "stat.ML"),
        3,
    ),
)

_PROMPTS = (
    (
        "Twelve Vectors Are Enough: Prompt Tuning on a Budget",
        "Prompt tuning adapts a language model by learning a few vectors instead of all its weights. "
        "We ask how many of these vectors are needed, and find that 12 suffice on 14 of 16 invented "
        "tasks. The method needs no more memory than inference does.",
        ("cs.CL", "cs.LG"),
        3,
    ),
    (
        "Prompt Tuning Without Gradients, by Patient Search",
        "Many language models are served behind an interface that returns text alone. We tune prompts "
        "there by a search that asks fewer than two thousand questions, and reach 96% of what "
        "gradients reach. Half of the questions can be answered from a cache.",
        ("cs.CL", "cs.AI"),
        2,
    ),
    (
        "When Does Prompt Tuning Forget? A Study of Invented Tasks in Thirty Languages",
        "A soft prompt for one language often harms another. We tune on thirty languages in turn and "
        "measure what is lost: scripts matter more than families, and order more than both. Replaying "
        "one example in fifty keeps nine tenths of what was learned.",
        ("cs.CL", "cs.CY"),
        11,
    ),
    (
        "A Field Guide to Soft Prompts and Where They Fail",
        "Soft prompts fail in four ways, each with a sign that one can look for before deployment. We "
        "describe the four, give a test for each that takes a minute, and count them in 120 prompts "
        "tuned by students of a course. Prompt tuning with a small rank avoids two.",
        ("cs.CL", "cs.HC"),
        4,
    ),
    (
        "Private Prompt Tuning: Noise Where It Hurts Least",
        "Differential privacy adds the same noise to all vectors of a prompt. We show that the first "
        "two carry most of the task and the others most of the examples, and move the noise there. At "
        "a budget of three the loss in accuracy falls from 9 to 4 points.",
        ("cs.CR", "cs.CL"),
        5,
    ),
    (
        "Reading Soft Prompts Aloud: Towards Words Behind Vectors in Prompt Tuning",
        "What does a tuned prompt say? We decode each vector to the sentence that changes the model's "
        "answers in the most similar way. Annotators name the task from the sentences in 7 of 10 "
        "cases, and find one prompt that had learned the order of the answers.",
        ("cs.CL", "cs.LG"),
        6,
    ),
    (
        "Prompt Tuning for Speech Recognition in Rooms with Echo",
        "Recognisers trained in quiet rooms fail in halls. A prompt of twenty vectors, tuned on ten "
        "minutes in the hall itself, halves the word errors of a large model and costs nothing when "
        "the speaker steps outside. Forty rooms were simulated, six were built.",
        ("eess.AS", "cs.CL"),
        7,
    ),
    (
        "Merging Prompts by Their Gradients: A Small Algebra of Prompt Tuning",
        "Two tuned prompts can be added, but the sum rarely does what both did. We add them along the "
        "directions in which neither task's loss rises, which takes one pass over a hundred examples, "
        "and keep 97% of both tasks for pairs and 90% for groups of five.",
        ("cs.LG", "cs.CL"),
        3,
    ),
)

_MOLECULES = (
    (
        "Graph Networks That Know Which Molecules Are Mirror Images",
        "Most graph networks give a molecule and its mirror image the same embedding. We add one "
        "signed volume to each message, which costs four per cent of the time, and tell hands apart "
        "in 99 of 100 invented pairs. The energies of a public set of conformers improve as well.",
        ("physics.chem-ph", "cs.LG"),
        5,
    ),
    (
        "Long Range Without Attention: Ewald Messages for Charged Molecules",
        "Charges act beyond the cut-off of a graph. We pass messages on a reciprocal grid, as in Ewald "
        "sums, so that the cost grows almost linearly with the atoms. Dipoles of long peptides, which "
        "local graph networks miss by a third, are right to two per cent.",
        ("physics.comp-ph", "physics.chem-ph"),
        8,
    ),
    (
        "How Much Data Does a Molecular Graph Network Need? Scaling Laws on Eleven Properties",
        "We train 600 networks on eleven properties and fit one law to all. Errors fall with the "
        "square root of the data until the labels' own noise, and no larger network changes this. "
        "For seven properties a linear model on fragments is as good below 5,000 molecules.",
        ("cs.LG", "physics.chem-ph"),
        2,
    ),
    (
        "Retrosynthesis as Walks on a Graph of Reactions",
        "A route to a molecule is a walk through known reactions. We learn where to turn from 40,000 "
        "invented routes, and find one for 88% of the targets within ten seconds on a laptop. Chemists "
        "preferred our route to the shortest in two of three cases.",
        ("q-bio.QM", "cs.AI"),
        6,
    ),
)

_BY_ADA = (
    (
        "Honest Error Bars for Small Surveys of Language Models",
        "Two models that differ by one point on 200 questions may well be the same. We collect what "
        "statisticians know about small surveys into one table, and show on invented data that three "
        "of five common claims would need ten times as many questions.",
        ("stat.AP", "cs.CL"),
        3,
    ),
    (
        "A Reader's Theory of Abstracts: Which Sentence Says What Was Found?",
        "We label each sentence of 400 invented abstracts by what it does. The finding stands in the "
        "last third in seven of ten, and numbers mark it better than verbs. A rule of four lines finds "
        "it as often as a large model, and a thousand times faster.",
        ("cs.DL", "cs.CL"),
        2,
    ),
    (
        "Lists, Lines and Cards: How People Skim Twenty-Five Titles on a Phone",
        "We show the same 25 titles as cards, as lines, and as ten cards with fifteen lines. With the "
        "mixture people find what they would have picked in 48 seconds instead of 131, and regret no "
        "more choices a week later. Sixty people took part, all of them invented.",
        ("cs.HC", "cs.DL"),
        4,
    ),
)

_NAMES = (
    "Ada Example", "Bo Sample", "Cleo Placeholder", "Dan Muster", "Eve Specimen", "Fay Instance",
    "Gil Pattern", "Hana Vorlage", "Ivo Esempio", "Jun Mihon", "Kim Ejemplo",
)  # fmt: skip
_TAIL = (
    " We describe the method in full, compare it with six others, and discuss where it fails. Ablations "
    "show that each part is needed. Code, data and all settings are available."
)


def digest_of_25() -> DigestContext:
    """Return a digest of 10, 8, 4 and 3 papers."""
    numbers = iter(range(100, 125))

    def entry(row: tuple[str, str, tuple[str, str], int], *reasons: Reason) -> DigestPaper:
        title, abstract, categories, authors = row
        number = next(numbers)
        names = [_NAMES[(number + place) % len(_NAMES)] for place in range(authors)]
        if row in _BY_ADA:
            names[0] = _NAMES[0]
        return make_entry(
            number,
            title=title,
            abstract=abstract + _TAIL,
            authors=tuple(names),
            categories=categories,
            primary_category=categories[0],
            upvotes=14 if number % 9 == 0 else 0,
            github_url="https://github.com/example/code" if number % 7 == 0 else "",
            reasons=reasons,
        )

    def say(word: str, field: str, *words: str) -> Reason:
        return Reason(word, field, words or (word,))

    diffusion = [
        entry(row, say("diffusion", "title"), say("diffusion", "abstract")) for row in _DIFFUSION
    ]
    tuning, category = '"prompt tuning"', Reason("cat:cs.CL", "category", ("cs.CL",))
    prompts = [
        entry(
            row,
            say(tuning, "title" if "Prompt Tuning" in row[0] else "abstract", "prompt", "tuning"),
            category,
        )
        for row in _PROMPTS
    ]
    molecules = [
        entry(_MOLECULES[0], say('"graph networks"', "title", "graph", "networks")),
        *[entry(row, say("molecule", "abstract")) for row in _MOLECULES[1:]],
    ]
    by_ada = Reason('au:"Ada Example"', "author", ("Ada Example",))
    ada = [entry(row, by_ada) for row in _BY_ADA[:2]]
    ada.append(entry(_BY_ADA[2], by_ada._replace(is_guess=True)))
    by_title = {
        "Diffusion": diffusion,
        "Prompt tuning in cs.CL": prompts,
        "Graph networks, molecule": molecules,
        "Ada Example": ada,
    }
    groups = [
        DigestSection(
            title=title,
            papers=tuple(
                paper._replace(is_in_heading=heading_says(title, paper.reasons)) for paper in papers
            ),
            topic_id=topic,
        )
        for topic, (title, papers) in enumerate(by_title.items(), 12)
    ]
    return make_digest(
        *groups,
        topics=tuple(group.title for group in groups),
        coverage=Coverage(announced=1_204, checked=1_204),
    )
