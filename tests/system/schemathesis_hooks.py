"""What schemathesis has to be told about our media types."""
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context, value):
    """The description gives lines as one string."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
