package agenttrail

import (
	"encoding/pem"
	"log/slog"
)

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}
