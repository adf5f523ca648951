// The environment of a server process: a few variables of the gateway's own, and those that its entry declares.

const EVERYWHERE = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'NODE_EXTRA_CA_CERTS'];

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY'];

/** Many programs do not start on Windows without these. */
const WINDOWS = [
  'SYSTEMROOT',
  'SYSTEMDRIVE',
  'WINDIR',
  'COMSPEC',
  'PATHEXT',
  'APPDATA',
  'LOCALAPPDATA',
  'PROGRAMDATA',
  'PROGRAMFILES',
  'USERPROFILE',
  'USERNAME',
  'HOMEDRIVE',
  'HOMEPATH',
  'TEMP',
  'TMP',
  'PROCESSOR_ARCHITECTURE',
];

/** The whole environment of a server process. What the entry declares replaces what is inherited. */
export function childEnvironment(
  declared: Readonly<Record<string, string>>,
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): Record<string, string> {
  return platform === 'win32' ? windowsEnvironment(declared, env) : posixEnvironment(declared, env);
}

function posixEnvironment(declared: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const name of [...EVERYWHERE, ...PROXIES, ...PROXIES.map((proxy) => proxy.toLowerCase())]) {
    const value = env[name];
    if (value !== undefined) inherited[name] = value;
  }
  return { ...inherited, ...declared };
}

/** Windows ignores the case of names, so a declared `PATH` replaces an inherited `Path`. */
function windowsEnvironment(
  declared: Readonly<Record<string, string>>,
  env: NodeJS.ProcessEnv,
): Record<string, string> {
  const allowed = new Set([...EVERYWHERE, ...PROXIES, ...WINDOWS]);
  const kept = new Map<string, [string, string]>();
  for (const [name, value] of Object.entries(env)) {
    const upper = name.toUpperCase();
    if (value !== undefined && allowed.has(upper)) kept.set(upper, [name, value]);
  }
  for (const entry of Object.entries(declared)) kept.set(entry[0].toUpperCase(), entry);
  return Object.fromEntries(kept.values());
}
