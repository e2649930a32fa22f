//go:build linux && !static

#include "textflag.h"

DATA ·writeOrStopAddr(SB)/8, $·writeOrStop(SB)
GLOBL ·writeOrStopAddr(SB), RODATA, $8

// ssize_t writeOrStop(int fd, const void *buf, size_t count), called from C: DI, SI, DX; the result in AX. The system
// call keeps the arguments.
TEXT ·writeOrStop(SB), NOSPLIT|NOFRAME, $0
	MOVL $1, AX // write
	SYSCALL
	CMPQ AX, $0xfffffffffffff001
	JCC  failed
	RET

failed:
	CMPL DI, $2 // Standard output and error are no data.
	JLS  again
	CMPQ AX, $-28 // ENOSPC
	JEQ  stop
	CMPQ AX, $-122 // EDQUOT
	JEQ  stop
	CMPQ AX, $-5 // EIO
	JEQ  stop
	CMPQ AX, $-30 // EROFS
	JEQ  stop

again: // Nothing was written; the C library says why in errno.
	MOVQ ·libcWrite(SB), AX
	JMP  AX

stop:
	MOVL $2, DI
	MOVQ ·stopMessage(SB), SI
	MOVQ ·stopMessage+8(SB), DX
	MOVL $1, AX // write
	SYSCALL
	MOVL $74, DI // EX_IOERR
	MOVL $231, AX // exit_group
	SYSCALL
	INT  $3
