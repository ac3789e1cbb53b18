"""The pictures of a report, as SVG: sharp on a phone, in the colours of the page, and made without matplotlib."""
