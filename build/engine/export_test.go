package engine

import (
	"context"
	"io"
)

var Bootstrap, WriteContext = bootstrap, writeContext

// ImportBase writes a base of one layer as far as an engine would be given it.
func ImportBase(ctx context.Context, open func(context.Context) (io.ReadCloser, error), temp string, reserve int64) error {
	_, err := importLayers(ctx, nil, []tarLayer{{open: open, reserve: reserve}}, nil, "", temp)
	return err
}
