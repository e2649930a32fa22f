//go:build linux && !static

#include "textflag.h"

DATA ·writeOrStopAddr(SB)/8, $·writeOrStop(SB)
GLOBL ·writeOrStopAddr(SB), RODATA, $8

// ssize_t writeOrStop(int fd, const void *buf, size_t count), called from C: R0, R1, R2; the result in R0. The system
// call keeps the other registers. R27, which the assembler uses for itself, belongs to the caller.
TEXT ·writeOrStop(SB), NOSPLIT|NOFRAME, $0
	MOVD R0, R9
	MOVD $64, R8 // write
	SVC
	CMN  $4095, R0
	BCS  failed
	RET

failed:
	CMPW $2, R9 // Standard output and error are no data.
	BLS  again
	CMN  $28, R0 // ENOSPC
	BEQ  stop
	CMN  $122, R0 // EDQUOT
	BEQ  stop
	CMN  $5, R0 // EIO
	BEQ  stop
	CMN  $30, R0 // EROFS
	BEQ  stop

again: // Nothing was written; the C library says why in errno.
	MOVD R9, R0
	MOVD $·libcWrite(SB), R10
	MOVD (R10), R10
	JMP  (R10)

stop:
	MOVD $2, R0
	MOVD $·stopMessage(SB), R10
	MOVD (R10), R1
	MOVD 8(R10), R2
	MOVD $64, R8 // write
	SVC
	MOVD $74, R0 // EX_IOERR
	MOVD $94, R8 // exit_group
	SVC
	UNDEF
