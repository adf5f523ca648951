// The layers of ARCHITECTURE.md, lowest first. A folder may import itself and any lower row; never a sibling, never a higher row.
const LAYERS = [
  ['core'],
  ['config'],
  ['storage', 'telemetry'],
  ['protocol'],
  ['identity', 'policy', 'quota', 'audit', 'catalog'],
  ['upstream'],
  ['gateway'],
  ['downstream'],
  ['cli'],
];

const layerRules = LAYERS.flatMap((row, level) =>
  row.map((name) => {
    const forbidden = [...row.filter((other) => other !== name), ...LAYERS.slice(level + 1).flat()];
    return {
      name: `layer-${name}`,
      severity: 'error',
      comment: `src/${name} may import only itself and: ${LAYERS.slice(0, level).flat().join(', ') || 'nothing'}`,
      from: { path: `^src/${name}/` },
      to: { path: `^src/(${forbidden.join('|')})/` },
    };
  }),
).filter((rule) => rule.to.path !== '^src/()/');

const onlyIn = (name, module, homes) => ({
  name,
  severity: 'error',
  comment: `only ${homes.join(', ')} may import ${module}`,
  from: { path: '^src/', pathNot: homes.map((home) => `^src/${home}`) },
  to: { path: `node_modules/${module}/` },
});

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'core-has-no-packages', severity: 'error', from: { path: '^src/core/' }, to: { dependencyTypes: ['npm'] } },
    { name: 'src-knows-no-tests', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|fixtures|bench)/' } },
    {
      name: 'no-dev-packages',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
    onlyIn('sqlite-in-storage', 'better-sqlite3', ['storage/']),
    onlyIn('undici-in-upstream', 'undici', ['upstream/', 'cli/']),
    onlyIn('express-in-downstream', 'express', ['downstream/']),
    onlyIn('zod-in-config', 'zod', ['config/']),
    onlyIn('pino-in-telemetry', 'pino', ['telemetry/']),
    ...layerRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
