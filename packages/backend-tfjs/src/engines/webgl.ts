import { BackendError } from '@lowrank/core';
import type { Engine } from './engine.ts';
import { GraphicsEngine } from './graphics.ts';
import { importBackend } from './tfjs-core.ts';
import type { KernelBackend } from './tfjs-core.ts';

interface GpgpuContext {
  readonly gl: WebGl;
  dispose(): void;
}

/** What is used of @tensorflow/tfjs-backend-webgl. */
interface WebglModule {
  readonly GPGPUContext: new (gl?: WebGl) => GpgpuContext;
  readonly MathBackendWebGL: new (context: GpgpuContext) => KernelBackend;
  readonly setWebGLContext: (version: number, gl: WebGl) => void;
}

/** What is used of a WebGL context, whose types come with browsers' alone. */
interface WebGl {
  getParameter(name: number): number;
  disable(capability: number): void;
  enable(capability: number): void;
  cullFace(mode: number): void;
}

const MAX_TEXTURE_SIZE = 0x0d33;
const [DEPTH_TEST, STENCIL_TEST, BLEND, DITHER, POLYGON_OFFSET_FILL, SAMPLE_COVERAGE] = [
  0x0b71, 0x0b90, 0x0be2, 0x0bd0, 0x8037, 0x80a0,
];
const [SCISSOR_TEST, CULL_FACE, BACK] = [0x0c11, 0x0b44, 0x0405];

class WebglEngine extends GraphicsEngine {
  readonly #context: GpgpuContext;

  constructor(context: GpgpuContext, ...rest: ConstructorParameters<typeof GraphicsEngine>) {
    super(...rest);
    this.#context = context;
  }

  override async dispose(): Promise<void> {
    await super.dispose();
    this.#context.dispose();
  }
}

/** WebGL 2 with float32 textures, in a context of its own. */
export async function webglEngine(): Promise<Engine> {
  const page = globalThis as unknown as { OffscreenCanvas?: unknown; document?: unknown };
  if (page.OffscreenCanvas === undefined && page.document === undefined) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', 'tfjs:webgl needs a browser with WebGL 2', { value: 'webgl' });
  }
  const { core, module } = await importBackend('webgl', () => import('@tensorflow/tfjs-backend-webgl'));
  const { GPGPUContext, MathBackendWebGL, setWebGLContext } = module as WebglModule;
  const version = core.env().getNumber('WEBGL_VERSION');
  if (version !== 2 || !core.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
    const found = version === 2 ? 'renders to float16 alone' : `gives WebGL ${version}`;
    throw new BackendError(
      'BACKEND_NOT_AVAILABLE',
      `tfjs:webgl needs WebGL 2 with float32 textures; this device ${found}`,
      {
        value: 'webgl',
      },
    );
  }
  // TensorFlow.js makes new backends on the context that was made last: it gets back the one it had.
  const theirs = new GPGPUContext();
  const gl = ownContext();
  const context = new GPGPUContext(gl);
  setWebGLContext(version, theirs.gl);
  theirs.dispose();
  const size = gl.getParameter(MAX_TEXTURE_SIZE);
  return new WebglEngine(context, 'webgl', core, new MathBackendWebGL(context), {
    supports: { deterministic: true, nonFinite: false, maxStorageBytes: Math.min(size * size * 4, 2 ** 31) },
    memoryLimit: Number.POSITIVE_INFINITY,
    quirks: {
      maximumLosesNaN: false,
      signIsRough: false,
      maxBatch: Number.POSITIVE_INFINITY,
      castSaturates: true,
      sumSplitByThreads: false,
      plainMatmulOnly: false,
    },
  });
}

/** A context as TensorFlow.js sets up its own. */
function ownContext(): WebGl {
  interface Canvas {
    getContext(kind: 'webgl2', attributes: object): WebGl | null;
  }
  const page = globalThis as unknown as {
    OffscreenCanvas?: new (width: number, height: number) => Canvas;
    document?: { createElement(name: 'canvas'): Canvas };
  };
  const canvas = page.OffscreenCanvas ? new page.OffscreenCanvas(300, 150) : page.document?.createElement('canvas');
  const gl = canvas?.getContext('webgl2', {
    alpha: false,
    antialias: false,
    premultipliedAlpha: false,
    preserveDrawingBuffer: false,
    depth: false,
    stencil: false,
  });
  if (gl == null) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', 'tfjs:webgl got no WebGL 2 context of its own', { value: 'webgl' });
  }
  for (const off of [DEPTH_TEST, STENCIL_TEST, BLEND, DITHER, POLYGON_OFFSET_FILL, SAMPLE_COVERAGE]) gl.disable(off);
  for (const on of [SCISSOR_TEST, CULL_FACE]) gl.enable(on);
  gl.cullFace(BACK);
  return gl;
}
