"""Ports, paths and labels that both sides rely on."""

INFERENCE_PORT = 8080
MANAGEMENT_PORT = 8081

CONFIG_PATH = "/etc/pinion/config/config.json"
LIVE_PATH = "/etc/pinion/live/live.json"
BACKENDS_PATH = "/etc/pinion/backends"  # <backend>/token: the bearer token of a managed Kubo's RPC API
STATE_PATH = "/var/lib/pinion"  # the store ($HF_HOME is STATE_PATH/hf) and staging, an emptyDir
