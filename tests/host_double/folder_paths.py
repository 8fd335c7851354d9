"""Double of the host's folder_paths; a test points `base` at a folder of its own."""

from __future__ import annotations

from pathlib import Path

models_dir = ""
_output = _input = ""
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}


def set_base(base: Path) -> None:
    """Only in the double: every folder below `base`."""
    global models_dir, _output, _input
    models_dir, _output, _input = (str(base / name) for name in ("models", "output", "input"))
    for folder in (models_dir, _output, _input):
        Path(folder).mkdir(parents=True, exist_ok=True)


def get_output_directory() -> str:
    return _output


def get_input_directory() -> str:
    return _input


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    folder_names_and_paths.setdefault(folder_name, ([], set()))[0].append(full_folder_path)


def get_folder_paths(folder_name: str) -> list[str]:
    return list(folder_names_and_paths[folder_name][0])


def recursive_search(
    directory: str, excluded_dir_names: list[str] | None = None
) -> tuple[list[str], dict[str, float]]:
    files = (path for path in Path(directory).rglob("*") if path.is_file())
    return [path.relative_to(directory).as_posix() for path in files], {}


def get_filename_list(folder_name: str) -> list[str]:
    roots = map(Path, folder_names_and_paths[folder_name][0])
    return sorted(
        {path.relative_to(root).as_posix() for root in roots for path in root.rglob("*") if path.is_file()}
    )


def get_full_path(folder_name: str, filename: str) -> str | None:
    for root in folder_names_and_paths[folder_name][0]:
        if (Path(root) / filename).is_file():
            return str(Path(root) / filename)
    return None


def get_full_path_or_raise(folder_name: str, filename: str) -> str:
    found = get_full_path(folder_name, filename)
    if found is None:
        raise FileNotFoundError(f"Model in folder '{folder_name}' with filename '{filename}' not found.")
    return found


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    root = default_dir or _input
    if name.endswith(" [output]"):
        name, root = name[: -len(" [output]")], _output
    return str(Path(root) / name)


def exists_annotated_filepath(name: str) -> bool:
    return Path(get_annotated_filepath(name)).exists()


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    folder = Path(output_dir) / Path(filename_prefix).parent
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(filename_prefix).name
    count = len(list(folder.glob(f"{stem}_*")))
    return str(folder), stem, count + 1, str(Path(filename_prefix).parent), filename_prefix
