"""Where the bench server is found by each kind of caller; pages come by their usual path."""

MEDIA_PATH = "/api/v1/ws/media-stream/twilio"
TELNYX_PATH = "/api/v1/ws/media-stream/telnyx"
PBX_PATH = "/bench/threecx"
METRICS_PATH = "/bench/metrics"
