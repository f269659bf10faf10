/* The model file that -DMODEL names, at a multiple of 16. */
    .section .rodata.model, "a"
    .balign 16
    .global model_start
model_start:
    .incbin MODEL
    .global model_end
model_end:
