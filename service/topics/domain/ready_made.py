"""Ready-made topics by field, to choose from at sign-up.

Every category of arXiv is in at least one of them. Each line: name, what it brings, the topic.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ReadyTopic:
    """A ready-made topic; `query` is in the topic language."""

    name: str
    line: str
    query: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of research with its ready-made topics."""

    name: str
    topics: tuple[ReadyTopic, ...]


def _field(name: str, lines: str) -> Field:
    rows = (line.split(" | ") for line in lines.strip().splitlines())
    return Field(name, tuple(ReadyTopic(name, line, query) for name, line, query in rows))


READY_FIELDS: Final = (
    _field("Language models and text", """
Large language models | Models, training and behaviour | ti:"language model" OR ti:LLM OR ti:"foundation model"
Reasoning | Chains of thought and thinking longer | ("chain of thought" OR "test-time compute" OR ti:reasoning) "language model"
Agents and tool use | Models that act, call tools and work together | (ti:agent OR ti:agentic OR "tool use") "language model"
Retrieval-augmented generation | Answers from documents | "retrieval augmented generation" OR ti:RAG
Alignment and safety of models | Preferences, jailbreaks, refusals | "preference optimization" OR RLHF OR jailbreak OR ti:alignment "language model"
Efficient language models | Quantization, pruning, caches, serving | (quantization OR pruning OR "KV cache" OR "speculative decoding") "language model"
Hallucination and factuality | What models make up, and how to notice | hallucination OR factuality
Machine translation | From language to language | "machine translation" cat:cs.CL
Information extraction | Entities, relations, events | "information extraction" OR "entity recognition" OR "relation extraction"
Code generation | Programs written by models | "code generation" OR "program synthesis" OR "code LLM"
Speech and audio | Recognition, synthesis, music | cat:cs.SD OR cat:eess.AS
All of computational linguistics | Everything in Computation and Language | cat:cs.CL
"""),
    _field("Learning", """
Diffusion and flow models | Generation by denoising | "diffusion model" OR "flow matching" OR "score-based"
Reinforcement learning | Policies, rewards, exploration | "reinforcement learning" (cat:cs.LG OR cat:cs.AI)
Graph learning | Neural networks on graphs | "graph neural network" OR "graph learning" OR "graph transformer"
Federated learning and privacy | Learning without collecting | "federated learning" OR "differential privacy"
Time series | Forecasting and anomalies | "time series" OR "anomaly detection"
Interpretability | What happens inside models | "mechanistic interpretability" OR "sparse autoencoder" OR explainability
Continual learning | New tasks without forgetting | "continual learning" OR "catastrophic forgetting"
Causality | Causes and effects from data | "causal inference" OR "causal discovery" OR "treatment effect"
Theory of learning | Bounds, generalization, dynamics | ("generalization bound" OR "sample complexity" OR "regret bound") (cat:cs.LG OR cat:stat.ML)
Tabular data and AutoML | Tables, hyperparameters, search | "tabular data" OR "hyperparameter optimization" OR "architecture search" OR AutoML
Evolutionary and spiking computing | Neural and evolutionary computing | cat:cs.NE
Learning for science | Molecules, proteins, equations | "neural operator" OR "physics-informed" OR "protein design" OR "molecular generation"
"""),
    _field("Vision and graphics", """
3D Gaussian splatting and radiance fields | Scenes from pictures | "gaussian splatting" OR "radiance field" OR NeRF
Image generation | Pictures from words | "text-to-image" OR "image generation" OR "image editing"
Video | Generation and understanding | "video generation" OR "video understanding" OR "text-to-video"
Vision-language models | Models that see and read | "vision-language model" OR "multimodal large language model"
Detection and segmentation | What is where in an image | (ti:detection OR ti:segmentation) cat:cs.CV
Medical imaging | Scans, slides and diagnosis | "medical image" OR radiology OR histopathology OR MRI cat:cs.CV
Autonomous driving | Perception, planning, simulation | "autonomous driving" OR "self-driving"
Remote sensing | The earth from above | "remote sensing" OR satellite cat:cs.CV
Graphics | Rendering, geometry, animation | cat:cs.GR
All of computer vision | Everything in Computer Vision | cat:cs.CV
"""),
    _field("Robots and people", """
Robot learning | Manipulation and control that is learned | (manipulation OR "imitation learning" OR "vision-language-action") cat:cs.RO
All of robotics | Everything in Robotics | cat:cs.RO
Human-computer interaction | Interfaces and their users | cat:cs.HC
Computers and society | Law, education, ethics | cat:cs.CY
Multi-agent systems and games | Many agents that decide at once | cat:cs.MA OR cat:cs.GT
Social networks | Communities, influence, spread of information | cat:cs.SI OR cat:physics.soc-ph
Artificial intelligence in general | Planning, knowledge, search | cat:cs.AI (planning OR "knowledge graph" OR ontology)
"""),
    _field("Systems, security, data", """
Security and cryptography | Attacks and defences | cat:cs.CR
Software engineering | Testing, repair, requirements | cat:cs.SE
Programming languages and logic | Types, proofs, compilers | cat:cs.PL OR cat:cs.LO OR cat:cs.FL
Databases | Storage and queries | cat:cs.DB
Information retrieval and recommendation | Search and what to read next | cat:cs.IR
Distributed systems and networks | Clusters, clouds, wires | cat:cs.DC OR cat:cs.NI
Operating systems, hardware, performance | Close to the machine | cat:cs.OS OR cat:cs.AR OR cat:cs.PF OR cat:cs.ET
Computational science and software | Simulation, numerics, symbols | cat:cs.CE OR cat:cs.MS OR cat:cs.SC
Multimedia and digital libraries | Media, archives, literature | cat:cs.MM OR cat:cs.DL OR cat:cs.GL OR cat:cs.OH
Large-scale training | Many machines, one model | ("distributed training" OR "pipeline parallelism" OR "GPU cluster" OR "model parallelism")
"""),
    _field("Algorithms and information", """
Algorithms and data structures | Running times and lower bounds | cat:cs.DS
Complexity | What cannot be computed quickly | cat:cs.CC
Discrete mathematics and geometry | Graphs, shapes, counting | cat:cs.DM OR cat:cs.CG
Information theory | Codes, channels, capacity | cat:cs.IT
Quantum computing | Algorithms and error correction | "quantum computing" OR "quantum algorithm" OR "quantum error correction"
"""),
    _field("Statistics", """
Statistical machine learning | Everything in stat.ML | cat:stat.ML
Methods of statistics | Estimation and testing | cat:stat.ME
Bayesian methods | Priors, posteriors, samplers | (bayesian OR "posterior" OR MCMC) cat:stat.*
Statistics theory | Proofs about estimators | cat:math.ST
Applied and computational statistics | Statistics at work | cat:stat.AP OR cat:stat.CO OR cat:stat.OT
"""),
    _field("Electrical engineering", """
Signal processing | Radar, sensing, communication | cat:eess.SP
Image and video processing | Restoration, compression | cat:eess.IV
Control | Stability, optimal and predictive control | cat:eess.SY
Audio and speech processing | Everything in eess.AS | cat:eess.AS
Wireless and 6G | Antennas, spectrum, surfaces | "6G" OR "massive MIMO" OR "reconfigurable intelligent surface"
"""),
    _field("Mathematics", """
Algebra | Rings, groups, representations | cat:math.RA OR cat:math.GR OR cat:math.RT OR cat:math.AC OR cat:math.QA
Algebraic geometry | Varieties, schemes, moduli | cat:math.AG
Number theory | Primes, forms, Diophantine problems | cat:math.NT
Combinatorics | Graphs, counting, extremal problems | cat:math.CO
Analysis | Real, complex, functional, spectral | cat:math.CA OR cat:math.CV OR cat:math.FA OR cat:math.SP OR cat:math.OA
Partial differential equations | Existence, regularity, waves | cat:math.AP
Geometry and topology | Manifolds, knots, metrics | cat:math.DG OR cat:math.GT OR cat:math.MG OR cat:math.SG OR cat:math.AT OR cat:math.GN
Categories, logic, K-theory | Foundations and structure | cat:math.CT OR cat:math.LO OR cat:math.KT
Probability | Random walks, matrices, graphs | cat:math.PR
Optimization and control | Convex, stochastic, optimal | cat:math.OC
Numerical analysis | Discretizations and solvers | cat:math.NA
Dynamical systems | Orbits, chaos, ergodic theory | cat:math.DS
Mathematical physics | Rigorous physics | cat:math-ph
History and general mathematics | Overviews and teaching | cat:math.HO OR cat:math.GM
"""),
    _field("Astronomy", """
Exoplanets and planets | Worlds around stars | cat:astro-ph.EP
Galaxies | Their formation and gas | cat:astro-ph.GA
Cosmology | Dark matter, dark energy, the first light | cat:astro-ph.CO
Stars and the sun | Structure, evolution, activity | cat:astro-ph.SR
High-energy astrophysics | Neutron stars, black holes, bursts | cat:astro-ph.HE
Instruments and methods | Telescopes and data | cat:astro-ph.IM
Gravitational waves | Mergers and detectors | "gravitational wave"
Webb telescope | What JWST sees | JWST OR "James Webb"
All of astrophysics | Everything in astro-ph | cat:astro-ph.*
"""),
    _field("High energy, nuclear and gravity", """
Particle phenomenology | Beyond the Standard Model | cat:hep-ph
Particle experiments | Colliders and detectors | cat:hep-ex
Theory of high energies | Strings, fields, holography | cat:hep-th
Lattice field theory | Fields on a grid | cat:hep-lat
Relativity and quantum cosmology | Gravity | cat:gr-qc
Nuclear physics | Nuclei in theory and experiment | cat:nucl-th OR cat:nucl-ex
Dark matter searches | Candidates and limits | "dark matter" (cat:hep-ph OR cat:hep-ex OR cat:astro-ph.CO)
Neutrinos | Masses, mixing, sources | ti:neutrino
"""),
    _field("Quantum and condensed matter", """
All of quantum physics | Everything in quant-ph | cat:quant-ph
Quantum information | Entanglement, channels, resources | (entanglement OR "quantum information") cat:quant-ph
Materials | Structure and properties | cat:cond-mat.mtrl-sci
Superconductivity | Pairing and critical temperatures | cat:cond-mat.supr-con
Strongly correlated and mesoscopic electrons | Magnets, moiré, transport | cat:cond-mat.str-el OR cat:cond-mat.mes-hall
Statistical mechanics and disorder | Phases, glasses, networks | cat:cond-mat.stat-mech OR cat:cond-mat.dis-nn
Soft matter | Polymers, colloids, active matter | cat:cond-mat.soft
Cold atoms | Quantum gases and other condensed matter | cat:cond-mat.quant-gas OR cat:cond-mat.other
Topological matter | Insulators, edge states, Majoranas | "topological insulator" OR "topological phase" OR majorana
"""),
    _field("Physics", """
Optics and photonics | Light and lasers | cat:physics.optics
Fluids | Turbulence, waves, drops | cat:physics.flu-dyn
Plasma, accelerators, detectors | Fusion and big machines | cat:physics.plasm-ph OR cat:physics.acc-ph OR cat:physics.ins-det
Climate and geophysics | Air, sea and earth | cat:physics.ao-ph OR cat:physics.geo-ph
Weather and climate models | Forecasts, learned and computed | "weather forecasting" OR "climate model"
Atoms, molecules, chemistry | Spectra, clusters, reactions | cat:physics.atom-ph OR cat:physics.chem-ph OR cat:physics.atm-clus
Biological and medical physics | Cells, imaging, therapy | cat:physics.bio-ph OR cat:physics.med-ph
Computational physics and data | Methods and analysis | cat:physics.comp-ph OR cat:physics.data-an
Applied and classical physics | Devices, mechanics, sound | cat:physics.app-ph OR cat:physics.class-ph
Space physics | Sun and magnetosphere | cat:physics.space-ph
Physics, its teaching and its history | Education and ideas | cat:physics.ed-ph OR cat:physics.hist-ph OR cat:physics.pop-ph OR cat:physics.gen-ph
Nonlinear science | Chaos, patterns, solitons | cat:nlin.*
"""),
    _field("Biology and medicine", """
Neuroscience | Neurons and cognition | cat:q-bio.NC OR cat:biorxiv.neuroscience
Genomics | Sequences and variation | cat:q-bio.GN OR cat:biorxiv.genomics
Proteins and biomolecules | Folding, docking, design | cat:q-bio.BM OR cat:biorxiv.biochemistry
Methods of quantitative biology | Models and data | cat:q-bio.QM OR cat:biorxiv.bioinformatics
Populations and evolution | Epidemics, ecology, phylogeny | cat:q-bio.PE OR cat:biorxiv.evolutionary-biology OR cat:biorxiv.ecology
Cells, tissues, networks | From molecules to organs | cat:q-bio.CB OR cat:q-bio.MN OR cat:q-bio.SC OR cat:q-bio.TO OR cat:q-bio.OT OR cat:biorxiv.cell-biology
Single-cell biology | Transcriptomes one by one | "single-cell"
Cancer | Tumours, therapy, screening | cat:biorxiv.cancer-biology OR cat:medrxiv.oncology
Epidemiology and public health | From medRxiv | cat:medrxiv.epidemiology OR cat:medrxiv.public-and-global-health
Infectious diseases | From medRxiv and bioRxiv | cat:medrxiv.infectious-diseases OR cat:biorxiv.microbiology
Drug discovery | Binding, generation, screening | "drug discovery" OR "molecular docking" OR "virtual screening"
AI for health | Clinical notes, records, decisions | "electronic health record" OR "clinical decision support" OR "clinical notes"
"""),
    _field("Finance and economics", """
Trading and market structure | Order books and execution | cat:q-fin.TR OR cat:q-fin.ST
Pricing and risk | Derivatives, credit, tails | cat:q-fin.PR OR cat:q-fin.RM OR cat:q-fin.MF OR cat:q-fin.CP
Portfolios and finance in general | Allocation and markets | cat:q-fin.PM OR cat:q-fin.GN
Econometrics | Identification and estimation | cat:econ.EM
Economic theory | Mechanisms, games, choice | cat:econ.TH
Economics | Everything in econ.GN | cat:econ.GN
"""),
)  # fmt: skip
