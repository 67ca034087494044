"use strict";
(() => {
  const root = document.documentElement;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figure-data");
  const words = read("words");
  const logarithmic = new Set();
  const views = new Map();

  // A logarithmic axis has no place for 0 and below: an error bar that reaches there goes to the axis's edge, capless.
  const log = (spec) => {
    spec.layer = spec.layer.flatMap((layer) => {
      const { y, y2 } = layer.encoding;
      if (!y?.field) return [layer];
      const scaled = { ...y, scale: { type: "log", nice: true, padding: 8 } };
      const having = (filter, ends) => ({
        ...layer,
        transform: [...layer.transform, { filter }],
        encoding: { ...layer.encoding, ...ends },
      });
      const whole = having(`datum.${y.field} > 0`, { y: scaled });
      if (!y2) return [whole];
      const open = `datum.${y.field} <= 0 && datum.${y2.field} > 0`;
      return [whole, having(open, { y: { ...scaled, field: y2.field }, y2: { value: { expr: "height" } } })];
    });
    return spec;
  };

  // A drawing that was begun before the language changed must not end up over the newer one.
  let turn = 0;
  const draw = async (figure, now = turn) => {
    const place = document.getElementById(`plot-${figure.name}`);
    const spec = structuredClone(figure.specs[root.lang]);
    spec.datasets = figure.data;
    spec.width = place.clientWidth;
    if (logarithmic.has(figure.name)) log(spec);
    if (now !== turn) return;
    views.get(figure.name)?.finalize();
    views.set(
      figure.name,
      await vegaEmbed(place, spec, {
        ast: true, // no eval: the page's Content-Security-Policy forbids it
        logLevel: 1, // errors alone: that all of a figure is hidden is worth no warning
        renderer: "svg",
        actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
        downloadFileName: `${words.study}-${figure.name}`,
        i18n: {
          CLICK_TO_VIEW_ACTIONS: words[root.lang].save,
          SVG_ACTION: words[root.lang].save_svg,
          PNG_ACTION: words[root.lang].save_png,
        },
        scaleFactor: 2,
        tooltip: { theme: "light" },
      }),
    );
  };
  const drawAll = async () => {
    const now = ++turn;
    delete root.dataset.drawn;
    for (const figure of figures) await draw(figure, now);
    if (now === turn) root.dataset.drawn = root.lang;
  };

  const speak = (language) => {
    root.lang = language;
    document.title = words[language].title;
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
    return drawAll();
  };
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => speak(button.dataset.language));
  }
  for (const button of document.querySelectorAll("[data-reset]")) {
    button.addEventListener("click", () => draw(figures.find(({ name }) => name === button.dataset.reset)));
  }
  for (const box of document.querySelectorAll("[data-log]")) {
    box.addEventListener("change", () => {
      logarithmic[box.checked ? "add" : "delete"](box.dataset.log);
      draw(figures.find(({ name }) => name === box.dataset.log));
    });
  }

  let width = root.clientWidth;
  let waiting;
  addEventListener("resize", () => {
    if (root.clientWidth === width || matchMedia("print").matches) return;
    width = root.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });

  // On paper nothing can be opened.
  const folded = [];
  addEventListener("beforeprint", () => {
    folded.push(...document.querySelectorAll("figcaption details:not([open])"));
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of folded.splice(0)) each.open = false;
  });

  // RFC 4180: a quoted field may hold commas, line ends, and quotes twice.
  const parse = (text) => {
    const lines = [[]];
    for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
      lines.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (end === "\n") lines.push([]);
      else if (end === "") break;
    }
    return lines.filter((line) => line.length > 1);
  };
  const csv = read("row-data");
  const fill = (table) => {
    const [heads, ...lines] = parse(csv);
    const kept = heads.map((_, place) => place).filter((place) => lines.some((line) => line[place]));
    const add = (section, name, line) => {
      const row = section.insertRow();
      for (const place of kept) row.append(Object.assign(document.createElement(name), { textContent: line[place] }));
    };
    add(table.createTHead(), "th", heads);
    const body = table.createTBody();
    for (const line of lines) add(body, "td", line);
  };
  document.getElementById("row-table").addEventListener("toggle", ({ target }) => {
    const table = target.querySelector("table");
    if (target.open && !table.tHead) fill(table);
  });
  document.getElementById("row-download").addEventListener("click", () => {
    // The mark in front lets a spreadsheet see that it is UTF-8.
    const url = URL.createObjectURL(new Blob(["\ufeff", csv], { type: "text/csv;charset=utf-8" }));
    Object.assign(document.createElement("a"), { href: url, download: `${words.study}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });

  const preferred = root.dataset.language || (navigator.language.toLowerCase().startsWith("ja") ? "ja" : "en");
  speak(preferred);
})();
