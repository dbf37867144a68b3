package readymade

import (
	"fmt"
	"io"
	"os"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/internal/owned"
)

// ReadKey reads the private key that signs objects, nil of no file. It must be one that
// nobody else can read or replace.
func ReadKey(file string) (*cosign.Signer, error) {
	if file == "" {
		return nil, nil
	}
	if err := owned.Check(file); err != nil {
		return nil, fmt.Errorf("the key that signs objects: %w", err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("the key that signs objects: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner can read %s, which signs objects (mode %04o); run `chmod 600 %s`, and make a new one if others have an account here", file, mode, file)
	}
	data, err := io.ReadAll(io.LimitReader(f, cosign.MaxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	s, err := cosign.ParseSigner(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	return &s, nil
}
