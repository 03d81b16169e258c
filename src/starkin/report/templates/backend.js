// Runs before Bokeh. WebGL without a GPU behind it (virtual machines, remote desktops) takes
// seconds where the plain canvas takes tenths of one, so there Bokeh is told that there is none.
"use strict";
(() => {
  const probe = document.createElement("canvas").getContext("webgl");
  const info = probe?.getExtension("WEBGL_debug_renderer_info");
  const name = probe ? probe.getParameter(info?.UNMASKED_RENDERER_WEBGL ?? probe.RENDERER) : "";
  probe?.getExtension("WEBGL_lose_context")?.loseContext();
  if (name && !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name)) return;
  const original = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return /webgl/.test(kind) ? null : original.call(this, kind, ...rest);
  };
})();
