"""One report on a device: whether it computes what the CPU computes, how fast, and in how much memory.

python -m benchmarks.device_report --device cuda --out out/gpu.json     (or `make test-gpu`, which installs first)
python -m benchmarks.device_report.markdown out/gpu.json                prints its tables
"""
