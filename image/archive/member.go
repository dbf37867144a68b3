package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A Member reads one file of an archive and tells its size.
type Member func(ctx context.Context, name string) (io.ReadCloser, int64, error)

// Read returns a whole document.
func (open Member) Read(ctx context.Context, name string) ([]byte, error) {
	rc, size, err := open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if size > untrusted.MaxDocument {
		return nil, untrusted.TooBig(untrusted.Printable(name, 120))
	}
	return io.ReadAll(io.LimitReader(rc, size))
}

// JSON reads a whole document into v.
func (open Member) JSON(ctx context.Context, name string, v any) error {
	data, err := open.Read(ctx, name)
	if err != nil {
		return err
	}
	if err := untrusted.CheckDocument(data, untrusted.Printable(name, 120)); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: not the JSON it should be; make the archive again", untrusted.Printable(name, 120))
	}
	return nil
}
