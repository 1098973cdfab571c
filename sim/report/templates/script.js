"use strict";
(() => {
  const key = (cell) => cell.dataset.key ?? cell.textContent.trim();

  // Sorting: a column's button sorts by numbers where all that is there are numbers, else by words; nothing comes last.
  function sort(table, index, down) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({ row, place, key: key(row.cells[index]) }));
    const there = rows.filter((r) => r.key !== "" && r.key !== "-");
    const numbers = there.every((r) => !Number.isNaN(Number(r.key.replaceAll(",", ""))));
    const value = (r) => (numbers ? Number(r.key.replaceAll(",", "")) : r.key);
    const order = (a, b) => (numbers ? value(a) - value(b) : value(a).localeCompare(value(b), "en", { numeric: true }));
    there.sort((a, b) => (down ? order(b, a) : order(a, b)) || a.place - b.place);
    const rest = rows.filter((r) => !there.includes(r));
    body.append(...[...there, ...rest].map((r) => r.row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      if (head.hasAttribute("data-unsorted")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, index, down);
      });
    });
  }

  // Filtering by what can be seen of a row; what is folded away does not count.
  for (const table of document.querySelectorAll("table.filtered")) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const found = document.createElement("span");
    label.className = "filter";
    found.className = "found";
    found.setAttribute("aria-live", "polite");
    input.type = "search";
    label.append("Rows that contain ", input, " ", found);
    table.parentElement.before(label);
    let texts = null;
    input.addEventListener("input", () => {
      const rows = [...table.tBodies[0].rows];
      texts ??= new Map(rows.map((row) => [row, row.innerText.toLowerCase()]));
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => texts.get(row).includes(word));
      found.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
    });
  }

  // Points of figures: the nearest one to the pointer, or one after another with the arrow keys.
  for (const figure of document.querySelectorAll("figure")) {
    const box = figure.querySelector(".drawing");
    const svg = box?.querySelector("svg");
    const tip = figure.querySelector(".tip");
    const hits = [...(svg?.querySelectorAll(".hits circle") ?? [])];
    if (!hits.length) continue;
    const words = hits.map((hit) => hit.querySelector("title").textContent);
    for (const hit of hits) hit.querySelector("title").remove();
    const places = hits.map((hit) => [hit.cx.baseVal.value, hit.cy.baseVal.value]);
    let at = -1;
    function show(index) {
      if (at >= 0) hits[at].classList.remove("on");
      at = index;
      if (at >= 0) hits[at].classList.add("on");
      tip.textContent = at >= 0 ? words[at] : "";
    }
    function nearest(event) {
      const matrix = svg.getScreenCTM().inverse();
      const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
      let best = -1, least = 20 * matrix.a;
      places.forEach(([x, y], index) => {
        const distance = Math.hypot(x - p.x, y - p.y);
        if (distance < least) [best, least] = [index, distance];
      });
      if (best >= 0 && best !== at) show(best);
    }
    svg.addEventListener("pointermove", nearest);
    svg.addEventListener("pointerdown", nearest);
    box.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) show((Math.max(at, step < 0 ? 0 : -1) + step + hits.length) % hits.length);
      else if (event.key === "Home") show(0);
      else if (event.key === "End") show(hits.length - 1);
      else if (event.key === "Escape") show(-1);
      else return;
      event.preventDefault();
    });
  }

  for (const code of document.querySelectorAll(".commands code, .run code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "copy";
    button.setAttribute("aria-label", "copy the command");
    code.after(button);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(code);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        return;
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }

  // A link into what is folded away, or filtered out, shows it.
  function unfold() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let up = target; up; up = up.parentElement) {
      if (up.tagName === "DETAILS") up.open = true;
      up.hidden = false;
    }
    target?.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();
})();
