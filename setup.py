"""Maps the top-level folders datasets/, models/, cuda_ops/ and leaderboards/ into the package `tsbench`."""

from setuptools import find_packages, setup

MAPPED = ("datasets", "models", "cuda_ops", "leaderboards")
packages = find_packages(include=["tsbench", "tsbench.*"])
for folder in MAPPED:
    packages += [f"tsbench.{folder}", *(f"tsbench.{folder}.{name}" for name in find_packages(folder))]

setup(packages=packages, package_dir={f"tsbench.{folder}": folder for folder in MAPPED})
