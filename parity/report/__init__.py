"""Results as a table for people, JSON and JUnit for machines, Markdown for the docs and one HTML page."""

from parity.report.brief import brief as brief
from parity.report.brief import notebook as notebook
from parity.report.document import to_json as to_json
from parity.report.junit_xml import junit as junit
from parity.report.markdown_table import markdown as markdown
from parity.report.page import html as html
from parity.report.terminal import details as details
from parity.report.terminal import print_whole as print_whole
from parity.report.terminal import show as show
from parity.report.terminal import table as table
from parity.report.wording import describe as describe
from parity.report.wording import first_wrong as first_wrong
from parity.report.wording import summary as summary
