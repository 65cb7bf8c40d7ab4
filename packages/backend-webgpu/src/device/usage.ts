/** WebGPU's flags as numbers: Node has no globals of these names. */
export const bufferUsage = { mapRead: 0x1, copySource: 0x4, copyTarget: 0x8, uniform: 0x40, storage: 0x80 } as const;
export const mapRead = 0x1;
export const computeStage = 0x4;
