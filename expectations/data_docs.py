"""Data documentation as static pages: what each table promises, and how every month kept it.

Counts and rule names only; Great Expectations' own pages would show values of failing rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from core.state import Receipt, StateDatabase
from expectations.contract import Contract
from expectations.suite import rules_of, suite_hash

_PAGE = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>{{ name }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; color: #1c2733 }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { border-bottom: 1px solid #d7dde3; padding: .3rem .8rem; text-align: left }
.no { color: #a11 } .yes { color: #176339 } .n { text-align: right }
</style></head><body>
<p><a href="index.html">数据文档 Data documentation</a></p>
<h1>{{ contract.title.zh }} {{ contract.title.en }}</h1>
<p>{{ name }} {{ contract.version }}<br>{{ contract.grain.zh }}<br>{{ contract.grain.en }}</p>
<table><tr><th>列 Column</th><th>类型 Type</th><th>含义 Meaning</th><th>用途 Purposes</th></tr>
{% for column, told in contract.columns.items() %}<tr><td>{{ column }}</td><td>{{ told.type }} {{ told.unit }}
{{ '' if told.nullable else '*' }}</td><td>{{ told.title.zh }}<br>{{ told.title.en }}</td>
<td>{{ told.purposes | join(', ') }}</td></tr>{% endfor %}</table>
<h2>规则 Rules</h2><ul>{% for rule in rules %}<li>{{ rule }}</li>{% endfor %}</ul>
<h2>各月校验 Months</h2>
<table><tr><th>月份 Month</th><th>行数 Rows</th><th>结果 Result</th><th>时间 Validated (UTC)</th></tr>
{% for receipt in receipts %}<tr><td>{{ receipt.partition }}</td><td class="n">{{ receipt.rows }}</td>
<td class="{{ 'yes' if receipt.passed else 'no' }}">{{ '通过 passed' if receipt.passed else '未通过 failed' }}
{{ '' if receipt.suite_hash == rules_now else '(旧规则 older rules)' }}
{% for failure in receipt.failures.failures %}<br>{{ failure }}{% endfor %}</td>
<td>{{ receipt.validated_at.strftime('%Y-%m-%d %H:%M') }}</td></tr>{% endfor %}</table>
</body></html>
"""

_INDEX = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>数据文档 Data documentation</title></head>
<body style="font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem">
<h1>数据文档 Data documentation</h1><ul>{% for page, title, passed, months in pages %}
<li><a href="{{ page }}">{{ title.zh }} {{ title.en }}</a>: {{ passed }} / {{ months }}</li>{% endfor %}</ul>
</body></html>
"""


def write_data_docs(state: StateDatabase, contracts: Mapping[str, Contract], folder: Path) -> Path:
    """Write one page per validated raw table and an index into `folder`; returns the index."""
    from jinja2 import Environment

    templates = Environment(autoescape=True)
    page, index = templates.from_string(_PAGE), templates.from_string(_INDEX)
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for table, receipts in sorted(_latest(state).items()):
        contract = contracts.get(table.rpartition("/")[2])
        if contract is None:
            continue
        text = page.render(
            name=table,
            contract=contract,
            rules=rules_of(contract),
            rules_now=suite_hash(contract),
            receipts=receipts,
        )
        file = folder / f"{table.replace('/', '.')}.html"
        file.write_text(text, encoding="utf-8")
        passed = sum(receipt.passed for receipt in receipts)
        pages.append((file.name, contract.title, passed, len(receipts)))
    home = folder / "index.html"
    home.write_text(index.render(pages=pages), encoding="utf-8")
    return home


def _latest(state: StateDatabase) -> dict[str, list[Receipt]]:
    """The last receipt of every partition by table, newest month first."""
    found: dict[tuple[str, str], Receipt] = {}
    with state.session() as session:
        for receipt in session.scalars(select(Receipt).order_by(Receipt.receipt_no)):
            found[receipt.table, receipt.partition] = receipt
    tables: dict[str, list[Receipt]] = {}
    for (table, _), receipt in sorted(found.items(), reverse=True):
        tables.setdefault(table, []).append(receipt)
    return tables
