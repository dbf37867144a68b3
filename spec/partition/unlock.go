package partition

import (
	"slices"
	"time"

	"github.com/gitboot/gitboot/deployment"
)

// An UnlockDecl is what is declared of how encrypted disks are opened at boot.
type UnlockDecl struct {
	Ways    []string `key:"ways" is:"unlock-way" doc:"What is tried, in this order. tpm2: a TPM gives the passphrase out, which systemd-cryptenroll has sealed in it. keyfile: it is in a file on another disk. passphrase: it is typed on a console. If absent, tpm2 where the disk has such a token, then passphrase."`
	KeyFile *string  `key:"keyfile" is:"disk-file" doc:"Where the key file lies, such as UUID=12AB-34CD:/keys/laptop. All of it is the passphrase, as cryptsetup's --key-file takes it."`
	Timeout *string  `key:"timeout" is:"duration" default:"2m" doc:"How long somebody has to type, before the boot fails; a day at most."`
}

// UnlockOf is how process 1 opens encrypted disks. Its error says what cannot be.
func UnlockOf(d *UnlockDecl) (u deployment.Unlock, err error) {
	if d == nil {
		return u, nil
	}
	u.Ways = slices.Clone(d.Ways)
	if d.KeyFile != nil {
		if u.KeyFile, err = deployment.ParseLocation(*d.KeyFile); err != nil {
			return deployment.Unlock{}, err
		}
	}
	if d.Timeout != nil {
		length, err := time.ParseDuration(*d.Timeout)
		if err != nil {
			return deployment.Unlock{}, err
		}
		u.Timeout = max(1, int(length.Seconds()))
	}
	return u, u.Check()
}
