// A receipt verified in the browser, without asking the server anything: the entry's hash, the way up the Merkle tree
// (RFC 6962), and who has cosigned its root (C2SP tlog-proof, tlog-checkpoint, tlog-cosignature).

const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const utf8 = new TextEncoder();

async function hash(...parts) {
  const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) { all.set(one, at); at += one.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const same = (a, b) => a.length === b.length && a.every((one, k) => one === b[k]);
const node = (left, right) => hash([1], left, right);

// The root of a tree of `size` that this leaf and its proof lead to; null for a proof that leads nowhere.
export async function root(leaf, index, size, proof) {
  let at = index, last = size - 1, found = leaf;
  for (const one of proof) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      found = await node(one, found);
      while (at % 2 === 0 && at !== 0) { at = Math.floor(at / 2); last = Math.floor(last / 2); }
    } else found = await node(found, one);
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? found : null;
}

async function cosigned(body, line, key) {
  const signature = bytes(line.split(" ").at(-1)), kept = bytes(key.split("+").slice(2).join("+"));
  if (signature.length !== 76 || kept[0] !== 4) return null;
  const time = new DataView(signature.buffer).getBigUint64(4);
  const message = utf8.encode(`cosignature/v1\ntime ${time}\n${body}`);
  const known = await crypto.subtle.importKey("raw", kept.slice(1), "Ed25519", false, ["verify"]);
  return (await crypto.subtle.verify("Ed25519", known, signature.slice(12), message)) ? Number(time) : null;
}

// {content, root, size, witnesses: [{name, at}]}; throws what is wrong.
export async function verify(receipt, witnesses) {
  const [head, ...rest] = receipt.split("\n\n");
  const lines = head.split("\n");
  if (lines[0] !== "c2sp.org/tlog-proof@v1") throw new Error(lines[0]);
  const extra = lines.find((one) => one.startsWith("extra ")), index = Number(lines.find((one) => one.startsWith("index ")).slice(6));
  const content = bytes(extra.slice(6));
  const proof = lines.slice(lines.findIndex((one) => one.startsWith("index ")) + 1).map(bytes);
  const body = `${rest[0]}\n`, [, size, top] = body.split("\n");
  const found = await root(await hash([0], content), index, Number(size), proof);
  if (found === null || !same(found, bytes(top))) throw new Error("root");
  const agreed = [];
  for (const line of rest.slice(1).join("\n\n").split("\n")) {
    const name = line.split(" ")[1], witness = witnesses.find((one) => one.key.split("+")[0] === name);
    const at = witness ? await cosigned(body, line, witness.key) : null;
    if (at) agreed.push({ name: witness.name, at });
  }
  return { content: new TextDecoder().decode(content), index, size: Number(size), root: top, witnesses: agreed };
}
