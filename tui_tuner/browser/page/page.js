// Sets up what textual.js reads when it starts, and starts it when the font is there, which it measures cells with.
"use strict";

(() => {
  const start = window.onload;
  const fonts = ["16px", "bold 16px", "italic 16px"].map((font) => document.fonts.load(`${font} "Roboto Mono"`));

  window.onload = (event) => {
    const terminal = document.getElementById("terminal");
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    terminal.dataset.sessionWebsocketUrl = `${scheme}://${window.location.host}/ws`;
    const size = Number.parseInt(new URLSearchParams(window.location.search).get("fontsize") ?? "", 10);
    if (size >= 6 && size <= 64) terminal.dataset.fontSize = String(size);
    document.getElementById("again").addEventListener("click", () => window.location.reload());
    new MutationObserver(() => {
      if (document.body.classList.contains("-closed")) document.getElementById("again").focus();
    }).observe(document.body, { attributeFilter: ["class"] });
    Promise.allSettled(fonts).then(() => {
      start(event);
      terminal.querySelector("textarea")?.focus();
    });
  };
})();
