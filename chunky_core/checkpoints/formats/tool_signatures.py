"""Files of tools whose networks this package doesn't draw, known by the names in them and told by name.

A signature is a set of patterns of tensor names, or the start of a class's name. Names are compared, nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

MAX_NAMES = 20_000
ORIGINAL = "convert it to rosinality's names or open the NVlabs or rosinality file that it was made from"
RESTORER = "choose a StyleGAN2 or StyleGAN3 generator instead"
NO_STYLEGAN = "choose a generator of StyleGAN2 or StyleGAN3"


@dataclass(frozen=True)
class Signature:
    """A tool's mark.

    what: the network, for people; advice: what to do; every: patterns of which each must fit the end of a tensor's
    name, from a dot or its start; none: patterns that may fit no name; inside: whether such a network has a generator's
    names too, so that it could be taken for one.
    """

    what: str
    advice: str
    every: tuple[str, ...]
    none: tuple[str, ...] = ()
    inside: bool = False


SIGNATURES = (
    Signature(
        "GFPGAN's face restorer (its StyleGAN2 is steered by the restorer)",
        RESTORER,
        (r"stylegan_decoder\..*", r"condition_scale\..*"),
        inside=True,
    ),
    Signature(
        "CodeFormer's face restorer", RESTORER, (r"fuse_convs_dict\..*", r"quantize\.embedding\.weight")
    ),
    Signature("GPEN's face restorer", RESTORER, (r"ecd0\..*", r"style\.1\.weight"), inside=True),
    Signature(
        "GFPGAN's own variant of StyleGAN2 ('clean')",
        "it needs bilinear upsampling; open the StyleGAN2 file that it was made from",
        (r"style_mlp\.\d+\.weight", r"style_conv1\.bias", r"style_conv1\.modulated_conv\.weight"),
        inside=True,
    ),
    Signature(
        "mmagic's (mmgeneration's) StyleGAN3",
        ORIGINAL,
        (r"style_mapping\.fc0\.weight", r"synthesis\.input\..*"),
    ),
    Signature(
        "SWAGAN, StyleGAN2 on wavelets",
        "choose a StyleGAN2 that makes pixels",
        (r"(to_rgbs\.\d+\.)?iwt\.ll",),
        inside=True,
    ),
    Signature(
        "lucidrains' stylegan2-pytorch",
        "choose a generator of NVlabs or rosinality",
        (r"G\.blocks\.\d+\.to_style1\.weight",),
    ),
    Signature(
        "MobileStyleGAN",
        "open the StyleGAN2 that it was taught by",
        (r"student\..*", r"mapping_net\.layers\.\d+\.weight"),
    ),
    Signature(
        "one half of MobileStyleGAN's teacher",
        "open the rosinality file that it was made from",
        (r"ckpt\.layers\.\d+\..*",),
    ),
    Signature("a network of PyPI's stylegan2-torch", ORIGINAL, (r"up_convs\.\d+\.add_noise\.weight",)),
    Signature("StyleGAN-T", NO_STYLEGAN, (r"mapping\.(mlp\..*|x_avg)",), inside=True),
    Signature("projected-gan's FastGAN", NO_STYLEGAN, (r"feat_8\..*", r"se_64\..*")),
    Signature(
        "EG3D, which makes views of a volume",
        NO_STYLEGAN,
        (r"backbone\.(synthesis|mapping)\..*", r"decoder\.net\.\d\..*"),
        inside=True,
    ),
    Signature("StyleGAN1 (rosinality's)", NO_STYLEGAN, (r"progression\.\d+\..*",)),
    Signature("StyleGAN1 (converted by lernapparat)", NO_STYLEGAN, (r"g_synthesis\..*",)),
    Signature("Stable Diffusion", NO_STYLEGAN, (r"model\.diffusion_model\..*",)),
    Signature("a LoRA", NO_STYLEGAN, (r"(lora_unet_.*|.*\.)lora_(up|down|A|B)\..*",)),
    Signature("an ESRGAN upscaler", NO_STYLEGAN, (r"(RRDB_trunk|body|model\.1\.sub)\.0\.(RDB1|rdb1)\..*",)),
    Signature(
        "an identity network (ArcFace IR-SE50)",
        "export it as ONNX and choose it where an identity network is asked for",
        (r"input_layer\.0\.weight", r"output_layer\.\d\.weight"),
        (r"styles\.\d+\..*", r"decoder\..*"),
    ),
)

# Starts of class names, the longest first where one continues another
_CLASSES = (
    ("pg_modules.networks_fastgan", "projected-gan's FastGAN", NO_STYLEGAN),
    (
        "pg_modules.",
        "networks of projected-gan or StyleGAN-XL beside a generator",
        "if G_ema is a StyleGAN2, save it alone where that tool runs: pickle.dump({'G_ema': G_ema}, file)",
    ),
    ("timm.", "a network of the timm library, as projected-gan's and StyleGAN-XL's discriminators do", ""),
    ("training.volumetric_rendering.", "EG3D, which makes views of a volume", NO_STYLEGAN),
    ("training.triplane.", "EG3D, which makes views of a volume", NO_STYLEGAN),
    ("networks.generator.", "StyleGAN-T", NO_STYLEGAN),
    ("networks.shared.", "StyleGAN-T", NO_STYLEGAN),
    ("networks.discriminator.", "StyleGAN-T's discriminator", NO_STYLEGAN),
    ("dill._dill.", "objects that the dill library packs, as StyleGAN-XL and StyleGAN-T do", ""),
    ("pytorch_lightning.", "PyTorch Lightning's own objects", ""),
    ("lightning.", "PyTorch Lightning's own objects", ""),
    ("omegaconf.", "the settings of the OmegaConf library", ""),
    ("ultralytics.", "an Ultralytics YOLO detector", NO_STYLEGAN),
    ("sklearn.", "a model of scikit-learn", NO_STYLEGAN),
    ("pandas.", "a table of the pandas library", NO_STYLEGAN),
    ("keras.", "a Keras model", NO_STYLEGAN),
    ("tensorflow.", "objects of TensorFlow", NO_STYLEGAN),
    ("jax", "objects of JAX", NO_STYLEGAN),
    ("flax.", "objects of Flax", NO_STYLEGAN),
    ("transformers.", "a network of Hugging Face transformers", NO_STYLEGAN),
    ("diffusers.", "a network of Hugging Face diffusers", NO_STYLEGAN),
    ("torch_utils.ops.", "StyleGAN2-ADA's code", ""),
)
WEIGHTS_ALONE = (
    "save the generator's weights alone where that tool runs: torch.save(G_ema.state_dict(), 'weights.pt')"
)

# Modules and functions that a program is made of: a file that names one wants to run something
_DANGEROUS = re.compile(
    r"(os|posix|nt|sys|subprocess|shutil|_?socket|pty|runpy|importlib|ctypes|_?cffi|webbrowser|commands|popen2|codeop|bdb|pdb|"
    r"timeit|cProfile|doctest|asyncio|multiprocessing|_?signal|tempfile|urllib2?|http|ftplib|smtplib|requests|pip|"
    r"setuptools|distutils|marshal|_?operator|atexit|cloudpickle|_?pickle|_?cPickle|shelve)(\..*)?"
    r"|(code|trace|profile|imp)\.\w+|platform\.popen|types\.(Function|Code|Method|Lambda|Module)Type"
    r"|(builtins|__builtin__)\.(eval|exec|execfile|compile|open|file|input|raw_input|getattr|setattr|delattr|globals|locals|"
    r"vars|breakpoint|__import__|apply|map|filter|reduce|reload|help|exit|quit)"
    r"|torch\.(load|hub|jit|package|_dynamo|serialization\.load|utils\.cpp_extension)(\..*)?"
    r"|numpy\.(load|testing|f2py|distutils)(\..*)?"
    r"|dill\._dill\._(create_code|create_function|create_type|import_module|get_attr|eval_repr)"
)
# Enums, their members, tuples and exceptions of the same modules, which are data
_INERT = re.compile(
    r"(os|posix|nt)\.(stat_result|statvfs_result|terminal_size|times_result|uname_result|waitid_result|sched_param|error)"
    r"|_?signal\.(Signals|Handlers|Sigmasks|struct_siginfo|SIG[A-Z0-9_]+)"
    r"|_?socket\.(AddressFamily|SocketKind|MsgFlag|AddressInfo|error|timeout|gaierror|herror|(AF|SOCK|MSG|AI)_[A-Z0-9_]+)"
    r"|http\.(HTTPStatus|HTTPMethod|cookies\.(SimpleCookie|BaseCookie|Morsel)|cookiejar\.Cookie|client\.(NotConnected|BadStatusLine|IncompleteRead|InvalidURL))"
    r"|urllib\.parse\.(Parse|Split|Defrag)Result(Bytes)?|requests\.structures\.(CaseInsensitive|Lookup)Dict"
    r"|(subprocess|commands)\.(CompletedProcess|TimeoutExpired)|doctest\.TestResults"
    r"|distutils\.version\.(Loose|Strict)?Version|sys\.(version_info|flags|float_info|hash_info|int_info|thread_info)"
    r"|(os|shutil|subprocess|commands|socket|http|urllib2?|smtplib|ftplib|requests|asyncio|multiprocessing|_?pickle)"
    r"(\.[a-z_]+)?\.[A-Z]\w*(Error|Exception|Warning)"
)


def tool_of_tensors(names: Iterable[str]) -> str | None:
    """What a file with tensors of these names holds and what to do about it; None where no signature fits.

    names: dotted, with the keys of the dicts that they lie in.
    """
    return _first(SIGNATURES, list(names))


def tool_beside_generator(names: Iterable[str]) -> str | None:
    """The same for a network with a generator's names, which is one of another tool's nevertheless."""
    inside = tuple(signature for signature in SIGNATURES if signature.inside)
    return _first(inside, list(islice(names, MAX_NAMES)))


def _first(signatures: tuple[Signature, ...], names: list[str]) -> str | None:
    for signature in signatures:
        every = [re.compile(rf"(?:.*\.)?{pattern}") for pattern in signature.every]
        none = [re.compile(rf"(?:.*\.)?{pattern}") for pattern in signature.none]
        if all(any(map(pattern.fullmatch, names)) for pattern in every) and not any(
            any(map(pattern.fullmatch, names)) for pattern in none
        ):
            return f"it holds {signature.what}; {signature.advice}"
    return None


def is_dangerous(name: str) -> bool:
    """Whether a dotted name is that of a module or function that programs are made of."""
    return bool(_DANGEROUS.fullmatch(name)) and not _INERT.fullmatch(name)


def refusal_of_global(name: str) -> str:
    """Why a pickle that names this function or class, dotted, isn't read, and what to do."""
    shown = name[:120]
    if is_dangerous(name):
        return (
            f"it wants to run {shown!r}, which is not on the list of what a StyleGAN file needs; do not open it with "
            "other tools; ask its author for a .safetensors file"
        )
    for start, what, advice in _CLASSES:
        if name.startswith(start):
            return f"it holds {what} ({shown}), which isn't read; {advice or WEIGHTS_ALONE}"
    return (
        f"it refers to {shown!r}, which isn't on the list of what StyleGAN files need, so it isn't opened; ask its "
        f"author for a .safetensors file or {WEIGHTS_ALONE}"
    )
