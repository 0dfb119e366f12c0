"""The look of our HTML pages: one style sheet, inline, in light and dark, with nothing to load."""

PALETTE = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5b6675;--line:#e3e7ec;--stop:#b42318;--stop-bg:#fdeceb;--aside:#8a5000;
--aside-bg:#fff1da;
--warn:#6b5300;--warn-bg:#fdf6cf;--hold:#1a7340;--hold-bg:#e4f5ea;--bar:#e08a1e;--blue:#2563c9;--blue-bg:#eaf1fd;--green:#2f9e5c;
--red:#d9534a;--link:#1d4fa8}
@media (prefers-color-scheme:dark){:root{--bg:#11151a;--card:#1a2027;--ink:#e6eaef;--soft:#98a4b3;--line:#2b333d;--stop:#ff9d94;
--stop-bg:#4a1c19;
--aside:#ffc573;--aside-bg:#40300f;--warn:#f0dc7d;--warn-bg:#3a340f;--hold:#83d9a3;--hold-bg:#153524;--bar:#e0962f;--blue:#6ea3f5;
--blue-bg:#1d2b42;--green:#52c285;--red:#f07b71;--link:#8fb8f7}}
"""
"""Colours by meaning. Text in any of them has a contrast of 4.5 to 1 or more on any of its backgrounds."""
STYLE = (
    PALETTE
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 3rem}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.company{margin:0;color:var(--soft);font-weight:600}
h1{margin:.1rem 0 1rem;font-size:1.9rem;line-height:1.2;letter-spacing:-.01em}
h2{margin:0;font-size:1.2rem}
.verdict{margin:0;padding:.8rem 1rem;border-radius:.6rem;border-left:.3rem solid currentColor}
.stop{color:var(--stop)}.aside{color:var(--aside)}.warn{color:var(--warn)}.hold{color:var(--hold)}
.verdict.stop,.badge.stop{background:var(--stop-bg)}.verdict.aside,.badge.aside{background:var(--aside-bg)}
.verdict.hold,.badge.hold{background:var(--hold-bg)}.badge.warn{background:var(--warn-bg)}
.badge{display:inline-block;padding:.1rem .55rem;border-radius:1rem;font-size:.8rem;font-weight:600;white-space:nowrap}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin:1.2rem 0}
.tile,.table{background:var(--card);border:1px solid var(--line);border-radius:.8rem}
.tile{padding:.9rem 1rem;display:flex;flex-direction:column}
.tile span,.tile small{color:var(--soft);font-size:.85rem}
.tile strong{font-size:1.7rem;line-height:1.25;font-variant-numeric:tabular-nums}
.table{padding:1.1rem 1.2rem;margin:0 0 1rem}
.flow{margin:.2rem 0 .5rem;color:var(--soft)}.flow b{color:var(--ink);font-variant-numeric:tabular-nums}
.flow b.aside{color:var(--aside)}
.bar{height:.45rem;border-radius:.3rem;background:var(--hold-bg);overflow:hidden;margin-bottom:.9rem}
.bar i{display:block;height:100%;margin-left:auto;background:var(--bar)}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse}
th{color:var(--soft);font-size:.8rem;font-weight:600;text-align:left}
th,td{padding:.45rem .6rem .45rem 0;border-bottom:1px solid var(--line)}
tbody tr:last-child td{border-bottom:0}
.status{width:9.5rem}
th.n{width:8rem}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;padding-right:0;padding-left:.8rem}
.quiet{margin:.2rem 0;color:var(--hold)}
details{margin-top:.6rem}
summary{cursor:pointer;color:var(--soft);font-size:.9rem}
.rules{columns:16rem;margin:.5rem 0 0;padding-left:1.1rem;color:var(--soft)}
footer{margin-top:1.6rem;color:var(--soft);font-size:.9rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.4rem .9rem;align-items:baseline}
dd{margin:0}
@media (max-width:34rem){dl{grid-template-columns:1fr}}
@media print{body{background:none}details{display:none}}
"""
)
