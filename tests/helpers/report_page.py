"""Reports as parsed HTML."""

import html.parser

import nengo_snnconv as snc


class Page(html.parser.HTMLParser):
    """Content of a page: tags, links, headings (level, text), labels of pictures, tables {caption: rows}, code."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.pictures = [], [], [], []
        self.headings, self.tables, self.code = [], {}, []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.links += [value for name, value in attributes.items() if name in ("src", "href", "xlink:href", "action")]
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.open += [tag] if tag not in ("meta", "link", "wbr") else []
        if tag == "svg":
            self.pictures.append(attributes["aria-label"])
        elif tag in ("h1", "h2", "h3", "h4"):
            self.headings.append((int(tag[1]), ""))
        elif tag == "table":
            self.caption, self.rows = "", []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "pre":
            self.code.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside in ("h1", "h2", "h3", "h4"):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)
        elif inside == "caption":
            self.caption += data
        elif inside in ("td", "th"):
            self.rows[-1][-1] += data
        elif inside == "code" and "pre" in self.open:
            self.code[-1] += data


def write_page(path, *arguments, **options):
    """Write a report, check that its HTML is well formed, and return its text and Page."""
    snc.write_report(path, *arguments, **options)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "http:" not in text and "https:" not in text
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert all(len(label) > 10 for label in page.pictures)
    assert '<html lang="en">' in text and '<meta name="description" content="' in text
    levels = [level for level, _ in page.headings]
    assert levels.count(1) == 1 == levels[0]
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert all(len(row) == len(rows[0]) for rows in page.tables.values() for row in rows)
    assert page.tags.count("script") == text.count('<script type="application/json"') == 1
    return text, page
