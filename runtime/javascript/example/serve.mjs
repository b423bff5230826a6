/**
 * Serve the example page: `node example/serve.mjs MODEL.s2s [PORT]`, then open the address it prints.
 *
 * Any server of files will do; this one also sends what threads in onnxruntime-web need, and packs what it sends.
 */

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const HERE = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const pack = promisify(gzip);

/**
 * Serve this package's folder, and others below the paths given.
 *
 * @param {Record<string, string>} folders Folders on the disk by the beginning of their addresses, such as "/cases/".
 * @param {number} port 0 takes a free one.
 * @returns {Promise<{address: string, sent: Map<string, number>, close: () => void}>} `sent`: bytes of each path's body.
 */
export async function serve(folders, port = 0) {
  const places = Object.entries({ ...folders, "/": HERE });
  /** @type {Map<string, number>} */
  const sent = new Map();
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    const [prefix, folder] = places.find(([beginning]) => path.startsWith(beginning)) ?? ["/", HERE];
    try {
      const content = await readFile(join(folder, path.slice(prefix.length)));
      const packed = request.headers["accept-encoding"]?.includes("gzip") ?? false;
      const body = packed ? await pack(content) : content;
      response.writeHead(200, {
        "content-type": TYPES[extname(path)] ?? "application/octet-stream",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-embedder-policy": "require-corp",
        ...(packed ? { "content-encoding": "gzip" } : {}),
      });
      response.end(body);
      sent.set(path, body.length);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(port, "127.0.0.1", () => listening(undefined)));
  const { port: taken } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { address: `http://127.0.0.1:${taken}/`, sent, close: () => server.close() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [bundle, port = "8000"] = process.argv.slice(2);
  if (bundle === undefined) {
    console.error("error: expected a bundle: node example/serve.mjs MODEL.s2s [PORT]");
    process.exit(2);
  }
  const { address } = await serve({ "/bundle/": dirname(resolve(bundle)) }, Number(port));
  console.log(`${address}example/index.html?bundle=/bundle/${encodeURIComponent(basename(bundle))}`);
}
