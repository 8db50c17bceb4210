# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit report as one page of HTML that needs nothing else: no network, no script.

The page stays small with hundreds of organizations: what a control says stands once, and a cell of the matrix is one word.
A short script adds a filter and arrow keys; the page's own policy lets no other run.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import typing as t
from collections.abc import Iterable, Mapping

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from ansible_collections.planasonix.admin.plugins.module_utils._controls import STATUSES
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_report import (
    CHANGES,
    MOST_SEVERE_FIRST,
    Change,
    Control,
    Finding,
    Organization,
    Report,
    Trend,
    Waiver,
    complies,
    counted,
    lines_of,
    plural,
    references_in_words,
    shortened,
)

WORDS = {
    "pass": "pass",
    "fixed": "fixed",
    "waived": "waived",
    "not_entitled": "n/a",
    "fail": "fail",
    "error": "error",
}
"""What a cell says; ``n/a`` is explained in the legend."""

LEGEND = (
    ("pass", "The control is met."),
    ("fixed", "It was not met, and was remediated in this run."),
    (
        "waived",
        "It was evaluated, and may fail: somebody decided so, for the reason and until the day that are given.",
    ),
    ("not_entitled", "Not entitled: the organization's plan lacks the feature."),
    ("fail", "It is not met."),
    ("error", "It could not be read, so nothing is known. An error never counts as a pass."),
)

WORST_FIRST = ("error", "fail", "waived", "not_entitled", "fixed", "pass")
MANY = 12
"""With more organizations than this, those that comply begin folded, and findings do from ten times as many on."""

SOON = datetime.timedelta(days=30)

STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1b2330;--soft:#566072;--line:#d8dde5;--head:#eef1f5;--link:#1a56b0;
--pass:#dff3e4;--pass-t:#12592b;--fail:#b42318;--fail-t:#fff;--error:#6f3aa8;--error-t:#fff;--waived:#fdeec2;--waived-t:#6b4700;
--na:#e4e8ee;--na-t:#46505f;--fixed:#d6ecf7;--fixed-t:#0c4a6b;--critical:#8c1111;--high:#b8480b;--medium:#7a5b00;--low:#46505f}
@media (prefers-color-scheme:dark){:root{--bg:#12161d;--card:#1a2029;--text:#e6eaf1;--soft:#a3adbd;--line:#333c4a;--head:#222a35;--link:#8db8ff;
--pass:#153d25;--pass-t:#a6e9bd;--fail:#c9382b;--fail-t:#fff;--error:#8552c4;--error-t:#fff;--waived:#4a3a0c;--waived-t:#f7dd94;
--na:#2c3542;--na-t:#b6c0cf;--fixed:#123b52;--fixed-t:#a5d8f5;--critical:#ff9c94;--high:#ffb27a;--medium:#efce6b;--low:#b6c0cf}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header,footer{max-width:1500px;margin:0 auto;padding:0 24px}
header{padding-top:28px}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .2rem}
h2{font-size:1.2rem;margin:0 0 .6rem}
h3{font-size:1rem;margin:0}
p{margin:.3rem 0 .7rem}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:var(--card);padding:8px 12px;z-index:9}
section,.org{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:16px 0}
.org{padding:0;margin:8px 0}
.soft{color:var(--soft)}
.verdict{display:flex;gap:14px;align-items:center;border-radius:10px;padding:14px 18px;margin:16px 0 0;font-size:1.05rem}
.verdict b{font-size:1.15rem;white-space:nowrap}
.good{background:var(--pass);color:var(--pass-t)}.bad{background:var(--fail);color:var(--fail-t)}.mild{background:var(--waived);color:var(--waived-t)}
dl.facts{display:flex;flex-wrap:wrap;gap:4px 32px;margin:.5rem 0 0}
dl.facts dt{color:var(--soft);font-size:.8rem}dl.facts dd{margin:0}
nav{margin:14px 0 0;display:flex;flex-wrap:wrap;gap:6px 18px}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:6px 10px;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{background:var(--head);font-size:.85rem;overflow-wrap:normal}
tbody th{font-weight:600}
.glance th:nth-child(2){width:45%}
.num{text-align:right;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
.bar{display:flex;height:20px;border-radius:5px;overflow:hidden;min-width:220px;background:var(--head)}
.bar i{min-width:3px}
.p{background:var(--pass);color:var(--pass-t)}.f{background:var(--fail);color:var(--fail-t)}.e{background:var(--error);color:var(--error-t)}
.w{background:var(--waived);color:var(--waived-t)}.n{background:var(--na);color:var(--na-t)}.x{background:var(--fixed);color:var(--fixed-t)}
.bar .p{background:#3c9a5f}.bar .w{background:#d9a91d}.bar .n{background:#8b95a5}.bar .x{background:#2c86b8}
.tag{display:inline-block;border-radius:4px;padding:0 7px;font-weight:600;font-size:.85rem;white-space:nowrap}
.p::before,.f::before,.e::before,.w::before,.n::before,.x::before{margin-right:.3em}
.tag.p::before,.m .p::before{content:"\\2713";content:"\\2713"/""}
.tag.f::before,.m .f::before{content:"\\2717";content:"\\2717"/""}
.tag.e::before,.m .e::before{content:"!";content:"!"/"";font-weight:800}
.tag.w::before,.m .w::before{content:"\\25CB";content:"\\25CB"/""}
.tag.n::before,.m .n::before{content:"\\2013";content:"\\2013"/""}
.tag.x::before,.m .x::before{content:"\\21BB";content:"\\21BB"/""}
.sev{font-weight:700;font-size:.8rem;white-space:nowrap;border:1px solid;border-radius:4px;padding:0 6px}
.critical{color:var(--critical)}.high{color:var(--high)}.medium{color:var(--medium)}.low{color:var(--low)}
.tools{display:flex;flex-wrap:wrap;gap:8px 20px;align-items:center;margin:0 0 10px}
.tools[hidden]{display:none}
input[type=search]{font:inherit;padding:5px 10px;border:1px solid var(--soft);border-radius:6px;background:var(--bg);color:var(--text);width:16rem}
.matrix{overflow:auto;max-height:82vh;border:1px solid var(--line);border-radius:6px}
.m{width:auto;border-collapse:separate;border-spacing:0;font-size:.8rem}
.m th,.m td{padding:3px 6px;border-right:1px solid var(--card);border-bottom:1px solid var(--card);white-space:nowrap;overflow-wrap:normal}
.m thead th{position:sticky;top:0;z-index:2;vertical-align:bottom}
.m thead th a{writing-mode:vertical-rl;transform:rotate(180deg);text-decoration:none;color:var(--text);max-height:15rem;overflow:hidden}
.m thead th a:hover{text-decoration:underline}
.m thead th small{display:block;font-weight:700;text-align:center}
.m tbody th,.m thead th:first-child{position:sticky;left:0;background:var(--card);z-index:1;max-width:22rem;overflow:hidden;text-overflow:ellipsis}
.m thead th:first-child{z-index:3;background:var(--head)}
.m tbody th{border-right:2px solid var(--line)}
.m td a{color:inherit;font-weight:700}
.m td[colspan]{white-space:normal}
.m .up::after,.m .down::after{font-size:.75em;margin-left:.2em}
.m .up::after{content:"\\25B2";content:"\\25B2"/"better"}.m .down::after{content:"\\25BC";content:"\\25BC"/"worse"}
details>summary{cursor:pointer;padding:9px 14px;border-radius:10px;list-style-position:inside}
details>summary:hover{background:var(--head)}
details>summary h3{display:inline}
details>.in{padding:2px 16px 14px}ul.plain.in{margin:0;padding-left:36px}
.c{border:1px solid var(--line);border-radius:8px;margin:8px 0}
.about{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:3px 18px;max-width:80rem;margin:.2rem 0 .7rem}
.about dt{font-weight:600;color:var(--soft)}.about dd{margin:0}
.key{white-space:nowrap}.who{min-width:12rem}.what{min-width:16rem}
:target{outline:3px solid var(--link);outline-offset:-2px}
ul.plain{margin:.2rem 0 .8rem;padding-left:1.2rem}
.alone{display:none}
footer{color:var(--soft);font-size:.85rem;padding-bottom:40px}
@media (max-width:700px){main,header,footer{padding-left:12px;padding-right:12px}.verdict b{display:block}
section{padding:14px 12px}.verdict,.about{display:block}
body{font-size:14px}.about dd{margin:0 0 .4rem}}
@media print{@page{size:A4 landscape;margin:12mm}
:root{color-scheme:light;--bg:#fff;--card:#fff;--text:#000;--soft:#444;--line:#bbb;--head:#eee;--link:#000;--pass:#dff3e4;--pass-t:#12592b;--fail:#b42318;
--error:#6f3aa8;--waived:#fdeec2;--waived-t:#6b4700;--na:#e4e8ee;--na-t:#46505f;--fixed:#d6ecf7;--fixed-t:#0c4a6b;
--critical:#8c1111;--high:#b8480b;--medium:#7a5b00;--low:#46505f}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{font-size:9.5pt}main,header,footer{max-width:none;padding:0}
section{border:0;padding:0;margin:14px 0}.skip,nav,.tools,.tools[hidden]{display:none}
a{text-decoration:none}.matrix{max-height:none;overflow:visible;border:0}.m{font-size:7pt}.m th,.m td{padding:1px 3px}
.m thead th,.m tbody th,.m thead th:first-child{position:static}
thead{display:table-header-group}tr,summary{break-inside:avoid}h2,summary{break-after:avoid}
details::details-content{content-visibility:visible;block-size:auto}
.fold{display:none}.alone{display:block}}
"""

SCRIPT = """
(function () {
  var page = document, tools = page.querySelector('.tools'), field = page.getElementById('filter'), only = page.getElementById('only');
  var rows = [].slice.call(page.querySelectorAll('.m tbody tr')), shown = page.getElementById('shown');
  var opened = [];
  function apply() {
    var text = field.value.toLowerCase(), count = 0;
    rows.forEach(function (row) {
      var hide = row.cells[0].textContent.toLowerCase().indexOf(text) < 0 || (only.checked && row.className !== 'bad-row');
      var own = page.getElementById(row.getAttribute('data-o'));
      row.hidden = hide;
      if (own) { own.hidden = hide; }
      count += hide ? 0 : 1;
    });
    shown.textContent = count + ' of ' + rows.length + ' shown';
  }
  function reveal() {
    var found = location.hash && page.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var place = found; place; place = place.parentElement) {
      if (place.tagName === 'DETAILS') { place.open = true; }
      if (place.hidden) { place.hidden = false; }
    }
    if (found) { found.scrollIntoView(); }
  }
  function step(event) {
    var cell = event.target.closest && event.target.closest('.m td, .m th');
    var move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!cell || !move) { return; }
    var all = [].slice.call(page.querySelectorAll('.m tr')), line = all.indexOf(cell.parentElement), place = cell.cellIndex;
    for (line += move[0], place += move[1]; all[line] && all[line].cells[place]; line += move[0], place += move[1]) {
      var link = !all[line].hidden && all[line].cells[place].querySelector('a');
      if (link) { event.preventDefault(); link.focus(); return; }
    }
  }
  if (tools) {
    tools.hidden = false;
    field.addEventListener('input', apply);
    only.addEventListener('change', apply);
  }
  page.addEventListener('keydown', step);
  window.addEventListener('hashchange', reveal);
  window.addEventListener('beforeprint', function () {
    opened = [].slice.call(page.querySelectorAll('details:not([open])'));
    opened.forEach(function (one) { one.open = true; });
  });
  window.addEventListener('afterprint', function () { opened.forEach(function (one) { one.open = false; }); });
  reveal();
}());
"""

TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{{ script_hash }}'; \
base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>{{ report.title }}</title>
<style>{{ style }}</style>
</head>
<body>
<a class="skip" href="#controls">Skip to the findings</a>
<header>
<h1>{{ report.title }}</h1>
<dl class="facts">
<div><dt>Audited</dt><dd><time datetime="{{ report.iso_time }}">{{ report.time.strftime("%Y-%m-%d %H:%M UTC") }}</time></dd></div>
{% if report.profile %}
<div><dt>Profile</dt><dd>{{ report.profile }}</dd></div>
{% endif %}
{% if report.collection_version %}
<div><dt>Collection</dt><dd>planasonix.admin {{ report.collection_version }}</dd></div>
{% endif %}
<div><dt>Organizations</dt><dd>{{ report.organizations | length }}</dd></div>
<div><dt>Controls</dt><dd>{{ report.controls | length }}</dd></div>
{% if report.fail_on not in ("low", "never") %}
<div><dt>Verdict counts</dt><dd>{{ report.fail_on }}{{ "" if report.fail_on == "critical" else " and above" }}, and errors</dd></div>
{% endif %}
</dl>
<div class="verdict {{ mood }}" role="status"><b>{{ mark }}</b><span>{{ report.verdict.msg }}</span></div>
<nav aria-label="Sections">
<a href="#glance">At a glance</a>
{% if report.trend %}
<a href="#trend">Since the last audit</a>
{% endif %}
<a href="#matrix">Matrix</a>
<a href="#controls">Controls and findings</a>
{% if report.waivers %}
<a href="#waivers">Waivers</a>
{% endif %}
<a href="#organizations">Organizations</a>
<a href="#about">Legend</a>
</nav>
</header>
<main>
<section id="glance" aria-labelledby="glance-h">
<h2 id="glance-h">At a glance</h2>
<p>{{ compliant }} of {{ plural(report.organizations | length, "organization") }} meet every control that is required of them
{%- if report.unreadable %}; {{ report.unreadable | length }} could not be read{% endif %}.</p>
<div class="scroll"><table class="glance">
<thead><tr><th scope="col">Severity<th scope="col">Share<th scope="col" class="num">Pass<th scope="col" class="num">Fixed\
<th scope="col" class="num">Waived<th scope="col" class="num">Not entitled<th scope="col" class="num">Fail<th scope="col" class="num">Error</tr></thead>
<tbody>
{% for severity, counts in severities %}
<tr><th scope="row"><span class="sev {{ severity }}">{{ severity }}</span>\
<td><div class="bar" aria-hidden="true">
{%- for status in bar_order if counts[status] %}<i class="{{ cls[status] }}" style="flex:{{ counts[status] }}" title="{{ counts[status] }} \
{{ words[status] }}"></i>{% endfor %}</div>
{%- for status in ("pass", "fixed", "waived", "not_entitled", "fail", "error") %}<td class="num">{{ counts[status] }}{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% if report.unreadable %}
<details class="c"{{ " open" if report.unreadable | length <= many }}>
<summary><h3>Could not be read</h3> <span class="tag e">{{ report.unreadable | length }} error</span></summary>
<ul class="plain in">
{% for organization in report.unreadable %}
<li><strong>{{ organization.name }}</strong>: {{ organization.message }}</li>
{% endfor %}
</ul>
</details>
{% endif %}
</section>
{% if report.trend %}
<section id="trend" aria-labelledby="trend-h">
<h2 id="trend-h">Since the last audit</h2>
<p>Compared with the audit of {{ report.trend.time | replace("T", " ") | replace("Z", " UTC") }}
{%- if report.trend.profile != report.profile %} (of another profile, {{ report.trend.profile }}){% endif %}:
{{ report.trend.compliant }} of {{ report.trend.total }} complied then, {{ compliant }} of {{ report.organizations | length }} do now.
{{ trend_words }}</p>
{% for change, word, rows, open in trend_tables %}
<details class="c"{{ " open" if open }}>
<summary><h3>{{ word }}</h3> <span class="soft">{{ report.trend.count(change) }}</span></summary>
<div class="in scroll"><table>
<thead><tr><th scope="col">Control<th scope="col">Severity<th scope="col">Status<th scope="col" class="num">Count<th scope="col">Organizations</tr></thead>
<tbody>
{% for row in rows %}
<tr><th scope="row" class="what">{{ row.control }}<td>{% if row.severity %}<span class="sev {{ row.severity }}">{{ row.severity }}</span>{% endif %}\
<td class="key">{{ row.status }}<td class="num">{{ row.count }}<td>{{ row.names }}</tr>
{% endfor %}
</tbody>
</table></div>
</details>
{% endfor %}
</section>
{% endif %}
<section id="matrix" aria-labelledby="matrix-h">
<h2 id="matrix-h">Organizations by controls</h2>
{% if report.organizations | length > 1 %}
<div class="tools" hidden>
<label>Filter by name <input type="search" id="filter" autocomplete="off"></label>
<label><input type="checkbox" id="only"> only what does not comply</label>
<span id="shown" class="soft" role="status"></span>
</div>
{% endif %}
<div class="matrix" role="region" aria-labelledby="matrix-h" tabindex="0">
<table class="m">
<thead><tr><th scope="col">Organization
{%- for control in report.controls %}<th scope="col"><a href="#c{{ loop.index }}" title="{{ control.title }} ({{ control.severity }})">{{ control.id }}</a>\
<small class="{{ control.severity }}" title="{{ control.severity }}">{{ control.severity[0] | upper }}</small>{% endfor %}</tr></thead>
<tbody>
{% for line in matrix %}
{{ line }}
{% endfor %}
</tbody>
</table>
</div>
<p class="soft">
{%- for status, meaning in legend %}<span class="tag {{ cls[status] }}">{{ words[status] }}</span> {% endfor %}
An empty cell: not required of that organization. C, H, M, L: critical, high, medium, low.
{%- if report.trend %} ▲ better, ▼ worse than in the last audit.{% endif %}</p>
</section>
<section id="controls" aria-labelledby="controls-h">
<h2 id="controls-h">Controls and findings</h2>
<p class="soft">The most severe that fail come first. References name what a control supports evidence for.</p>
{% for one in controls %}
<details class="c" id="c{{ one.place }}"{{ " open" if one.open }}>
<summary><h3>{{ one.control.id }}{% if one.control.title != one.control.id %}: {{ one.control.title }}{% endif %}</h3>
<span class="sev {{ one.control.severity }}">{{ one.control.severity }}</span>
{%- for status, count in one.counts %} <span class="tag {{ cls[status] }}">{{ count }} {{ words[status] }}</span>{% endfor %}</summary>
<div class="in">
<dl class="about">
{% if one.control.rationale %}
<dt>Why</dt><dd>{{ one.control.rationale }}</dd>
{% endif %}
<dt>Required</dt><dd>{{ cell(one.control.require, 40) }}\
{% if one.control.resource %} <span class="soft">({{ one.control.resource | replace("_", " ") }})</span>{% endif %}</dd>
{% if one.control.remediation %}
<dt>Remediation</dt><dd>{{ one.control.remediation }}</dd>
{% endif %}
{% if one.control.references %}
<dt>Supports evidence for</dt><dd>{{ references(one.control) }}</dd>
{% endif %}
</dl>
{% if one.rows %}
<div class="scroll"><table>
<thead><tr><th scope="col">Organization<th scope="col">Status<th scope="col">Current<th scope="col">Why</tr></thead>
<tbody>
{% for row in one.rows %}
<tr><th scope="row" class="who"><a href="#o{{ row.organization }}">{{ row.name }}</a><td>{{ row.status }}<td>{{ row.current }}<td>{{ row.detail }}</tr>
{% endfor %}
</tbody>
</table></div>
{% endif %}
{% if one.unread %}
<p class="soft">Nor is it known of {{ plural(one.unread, "organization") }} that could not be read at all.</p>
{% endif %}
</div>
</details>
{% endfor %}
</section>
{% if report.waivers %}
<section id="waivers" aria-labelledby="waivers-h">
<h2 id="waivers-h">Waivers</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Organization<th scope="col">Control<th scope="col">Last day (UTC)<th scope="col">State<th scope="col">Reason</tr></thead>
<tbody>
{% for organization, finding, waiver in report.waivers %}
<tr><th scope="row">{{ organization.name }}\
<td class="key">{{ finding.control }}<td class="key">{{ waiver.expires or "without an end" }}<td>{{ waiver_state(waiver) }}\
<td>{{ waiver.reason }}</tr>
{% endfor %}
</tbody>
</table></div>
</section>
{% endif %}
<section id="organizations" aria-labelledby="organizations-h">
<h2 id="organizations-h">Organizations</h2>
{% if organizations | length > many %}
<p class="alone">Each organization's state is in the page itself; printed are the matrix and the findings.</p>
{% endif %}
{% for one in organizations %}
<details class="org{{ " fold" if organizations | length > many }}" id="o{{ loop.index }}"{{ " open" if one.open }}>
<summary><h3>{{ one.name }}</h3>
{%- for status, count in one.counts %} <span class="tag {{ cls[status] }}">{{ count }} {{ words[status] }}</span>{% endfor %}
{%- if one.change %} <span class="soft">{{ one.change }}</span>{% endif %}</summary>
<div class="in">
{% if one.message %}
<p><span class="tag e">error</span> {{ one.message }}</p>
{% endif %}
{% if one.rows %}
<div class="scroll"><table>
<thead><tr><th scope="col">Control<th scope="col">Status<th scope="col">Current<th scope="col">Expected<th scope="col">Why</tr></thead>
<tbody>
{% for row in one.rows %}
<tr id="{{ row.id }}">\
<th scope="row" class="who"><a href="#c{{ row.place }}">{{ row.control }}</a> <span class="soft">{{ row.title }}</span><td>{{ row.status }}\
<td>{{ row.current }}<td>{{ row.expected }}<td>{{ row.detail }}</tr>
{% endfor %}
</tbody>
</table></div>
{% endif %}
</div>
</details>
{% endfor %}
</section>
<section id="about" aria-labelledby="about-h">
<h2 id="about-h">Legend</h2>
<table>
<tbody>
{% for status, meaning in legend %}
<tr><th scope="row" style="width:7rem"><span class="tag {{ cls[status] }}">{{ words[status] }}</span><td>{{ meaning }}</tr>
{% endfor %}
</tbody>
</table>
</section>
</main>
<footer>
<p>Made by the Ansible collection planasonix.admin {{ report.collection_version }}, which reads, and changes nothing. This report supports evidence for the
references of its controls. Whether an organization complies with a standard is for its auditor to say.</p>
</footer>
<script>{{ script }}</script>
</body>
</html>
"""

CLASSES = {"pass": "p", "fixed": "x", "waived": "w", "not_entitled": "n", "fail": "f", "error": "e"}


def html(report: Report) -> str:
    """The report as a page."""
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    places = {control.id: place for place, control in enumerate(report.controls, 1)}
    names = {organization.name: place for place, organization in enumerate(report.organizations, 1)}
    mood, mark = mood_of(report)
    severities = [
        (severity, counts)
        for severity, counts in report.by_severity().items()
        if any(counts.values())
    ]
    text: str = environment.from_string(TEMPLATE).render(
        report=report,
        style=Markup(STYLE),
        script=Markup(SCRIPT),
        script_hash=base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode(),
        mood=mood,
        mark=mark,
        compliant=sum(organization.status == "pass" for organization in report.organizations),
        severities=severities,
        bar_order=STATUSES,
        cls=CLASSES,
        words=WORDS,
        legend=LEGEND,
        plural=plural,
        cell=cell,
        references=references_in_words,
        waiver_state=lambda waiver: waiver_state(waiver, report.time.date()),
        trend_words=trend_words(report.trend),
        trend_tables=trend_tables(report),
        matrix=matrix(report),
        controls=controls(report, places, names),
        organizations=[
            organization_view(report, organization, place, places)
            for place, organization in enumerate(report.organizations, 1)
        ],
        many=MANY,
    )
    return text


def mood_of(report: Report) -> tuple[str, str]:
    """The colour of the verdict, and a word for it."""
    meets = bool(report.organizations) and all(
        complies(organization, "low") for organization in report.organizations
    )
    if report.verdict.failed:
        return "bad", "✗ Does not comply"
    return ("good", "✓ Complies") if meets else ("mild", "! Tolerated")


def cell(value: t.Any, limit: int = 6) -> Markup:
    """A value in a cell of a table, at most so many lines of it."""
    lines = [shortened(line, 400) for line in lines_of(value)]
    if len(lines) > limit:
        lines = [*lines[:limit], f"… and {len(lines) - limit} more"]
    return Markup("<br>").join(lines)


def tag(status: str) -> Markup:
    """A status with its colour."""
    return Markup('<span class="tag {}">{}</span>').format(CLASSES[status], WORDS[status])


def tallied(findings: Iterable[Finding]) -> list[tuple[str, int]]:
    """How many findings have which status, the worst first."""
    counts = counted(findings)
    return [(status, counts[status]) for status in WORST_FIRST if counts[status]]


def matrix(report: Report) -> list[Markup]:
    """The rows of the matrix. A cell is a word, and a link where there is something to tell; end tags are left to the browser."""
    marks = {"better": " up", "worse": " down"}
    rows = []
    for place, organization in enumerate(report.organizations, 1):
        row = 'tr class="bad-row"' if organization.status != "pass" else "tr"
        parts = [
            f'<{row} data-o="o{place}"><th scope="row"><a href="#o{place}">{escape(organization.name)}</a>'
        ]
        found = organization.by_control
        if not found:
            parts.append(
                f'<td class="e" colspan="{max(1, len(report.controls))}">error: {escape(organization.message)}'
            )
        for number, control in enumerate(report.controls if found else (), 1):
            finding = found.get(control.id)
            if finding is None:
                parts.append("<td>")
                continue
            word = WORDS[finding.status]
            mark = marks.get(finding.change or "", "")
            of_class = f'"{CLASSES[finding.status]}{mark}"' if mark else CLASSES[finding.status]
            parts.append(
                f"<td class={of_class}>{word if finding.status == 'pass' else f'<a href=#o{place}c{number}>{word}</a>'}"
            )
        rows.append(Markup("".join(parts)))
    return rows


def controls(
    report: Report, places: Mapping[str, int], names: Mapping[str, int]
) -> list[dict[str, t.Any]]:
    """What is told of each control: what it says, and where it is not met."""
    of: dict[str, list[tuple[Organization, Finding]]] = {
        control.id: [] for control in report.controls
    }
    for organization, finding in report.findings:
        of[finding.control].append((organization, finding))
    total = sum(len(told_of(found)) for found in of.values())
    views = []
    for control in report.controls:
        rows = told_of(of[control.id])
        failing = any(finding.fails for _organization, finding in rows)
        views.append(
            {
                "control": control,
                "place": places[control.id],
                "counts": tallied(finding for _organization, finding in of[control.id]),
                "open": failing and total <= MANY * 10,
                "failing": failing,
                "unread": sum(not organization.readable for organization in report.organizations),
                "rows": [
                    {
                        "organization": names[organization.name],
                        "name": organization.name,
                        "status": tag(finding.status),
                        "current": cell(finding.current, 20),
                        "detail": shortened(finding.detail, 2000) + differs(control, finding),
                    }
                    for organization, finding in rows
                ],
            }
        )
    return sorted(
        views,
        key=lambda view: (
            not view["failing"],
            MOST_SEVERE_FIRST.index(view["control"].severity),
            view["place"],
        ),
    )


def told_of(found: Iterable[tuple[Organization, Finding]]) -> list[tuple[Organization, Finding]]:
    """The findings that are told one by one, the worst first: what passes, and what could not be read at all, is counted."""
    told = [
        (organization, finding)
        for organization, finding in found
        if organization.readable and finding.status != "pass"
    ]
    return sorted(
        told, key=lambda one: WORST_FIRST.index(one[1].status) if not one[1].fails else -1
    )


def differs(control: Control, finding: Finding) -> str:
    """What else is required of one organization than of the first."""
    return (
        f" (here required: {'; '.join(lines_of(finding.expected))})"
        if finding.expected != control.require
        else ""
    )


def organization_view(
    report: Report, organization: Organization, place: int, places: Mapping[str, int]
) -> dict[str, t.Any]:
    """What is told of one organization: each control, the worst first."""
    titles = {control.id: control.title for control in report.controls}
    findings = sorted(
        organization.findings,
        key=lambda one: WORST_FIRST.index(one.status) if not one.fails else -1,
    )
    return {
        "name": organization.name,
        "message": organization.message,
        "change": organization.change
        and {"new": "new", "better": "can be read again", "worse": "could be read last time"}[
            organization.change
        ],
        "counts": tallied(organization.findings) or [("error", 1)],
        "open": len(report.organizations) <= MANY and organization.status != "pass",
        "rows": [
            {
                "id": f"o{place}c{places[finding.control]}",
                "place": places[finding.control],
                "control": finding.control,
                "title": ""
                if titles[finding.control] == finding.control
                else titles[finding.control],
                "status": tag(finding.status),
                "current": cell(finding.current, 6 if finding.status == "pass" else 20),
                "expected": cell(finding.expected),
                "detail": ""
                if not organization.readable and finding.detail == organization.message
                else shortened(finding.detail, 2000),
            }
            for finding in findings
        ],
    }


def waiver_state(waiver: Waiver, today: datetime.date) -> Markup:
    """Whether a waiver holds, and for how long."""
    if waiver.expired:
        return Markup('<span class="tag f">expired</span>')
    try:
        left = datetime.date.fromisoformat(waiver.expires) - today if waiver.expires else None
    except ValueError:
        left = None
    if left is not None and datetime.timedelta(0) <= left <= SOON:
        return Markup('<span class="tag w">{} left</span>').format(plural(left.days, "day"))
    return Markup('<span class="tag w">holds</span>')


def trend_words(trend: Trend | None) -> str:
    """How many changes there are, in a sentence."""
    counts = (
        [f"{trend.count(change)} {change}" for change in CHANGES if trend.count(change)]
        if trend
        else []
    )
    return f"Changes: {', '.join(counts)}." if counts else "Nothing changed."


def trend_tables(report: Report) -> list[tuple[str, str, list[dict[str, t.Any]], bool]]:
    """The changes by kind: its name, its heading, its rows, and whether they begin unfolded."""
    words = {"worse": "Worse ▼", "better": "Better ▲", "new": "New", "gone": "Gone"}
    controls = {control.id: control for control in report.controls}
    tables = []
    for change in CHANGES:
        rows: list[dict[str, t.Any]] = []
        for one, names in report.trend.grouped(change) if report.trend else ():
            control = controls.get(one.control or "")
            title = "The organization as a whole" if one.control is None else one.control
            rows.append(
                {
                    "control": title
                    if control is None or control.title == control.id
                    else f"{control.id}: {control.title}",
                    "severity": control.severity if control else None,
                    "status": statuses(one),
                    "count": len(names),
                    "names": ", ".join(names),
                }
            )
        rows.sort(
            key=lambda row: (
                row["severity"] is not None,
                MOST_SEVERE_FIRST.index(row["severity"] or "critical"),
            )
        )
        if rows:
            tables.append(
                (change, words[change], rows, sum(row["count"] for row in rows) <= MANY * 5)
            )
    return tables


def statuses(change: Change) -> str:
    """The statuses of a change."""
    if change.control is None:
        known = {
            "pass": "was read",
            "fail": "was read",
            "error": "could not be read",
            None: "absent",
        }
        return f"{known[change.before]} → {known[change.after]}".replace(
            "→ was read", "→ could be read"
        )
    return f"{WORDS.get(change.before or '', 'absent')} → {WORDS.get(change.after or '', 'absent')}"
