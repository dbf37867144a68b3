package partial

import (
	"context"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/chunked"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// An assembly is a layer that may be put together.
type assembly struct {
	stage    *stage.Stage
	layer    *image.Layer
	name     string
	progress progress.Sink
	// measuredFrom is from which size on the way is chosen by what is measured.
	measuredFrom int64

	// table is the table of contents, files what it says, and split the digest of what
	// tar-split has kept.
	table []byte
	files []chunked.File
	split string
	// places are where chunks lie in older objects, nil of those that do not.
	older  []deployment.Object
	places map[chunked.Digest]*place
}

// read takes a table of contents, if it is one of a layer like this.
func (a *assembly) read(table []byte) (err error) {
	a.table = table
	a.split, err = chunked.Read(table, func(f chunked.File) error {
		a.files = append(a.files, f)
		return nil
	})
	if err != nil {
		return err
	}
	return check(a.files, a.layer.Chunked.Table.Offset, a.layer.Chunked.Largest)
}

// way is how the layer is had, nil if that is not cheaper than all of it: an eighth less
// is not worth many requests, and reading what is here.
func (a *assembly) way() *Way {
	if a.files == nil {
		return nil
	}
	p := a.pieces()
	fetch := a.layer.Chunked.Table.Length + p.fetch
	if fetch > a.layer.Size-a.layer.Size/8 {
		return nil
	}
	return &Way{squash.Partial{Fetch: fetch, Room: p.spool, Open: a.open}, a.table}
}

// pieces are what a layer is put together of.
type pieces struct {
	// of are those of each file, by its name.
	of map[string][]*piece
	// here are those that older objects have, and runs bring the others.
	here []*piece
	runs []*run
	// fetch is how many bytes are fetched, spool how many of the files come of them, and
	// content how many all files have.
	fetch, spool, content int64
}

// A piece is a chunk, and where it is had.
type piece struct {
	chunked.Chunk
	// place is where it lies in an older object. If it is nil, it comes with a run, and
	// lies from the byte at on in the spool then.
	place *place
	run   *run
	at    int64
}

// pieces says where each is had.
func (a *assembly) pieces() pieces {
	p := pieces{of: make(map[string][]*piece, len(a.files)), fetch: a.layer.Chunked.TarSplit.Length}
	var lacking []*piece
	for _, f := range a.files {
		for _, c := range f.Chunks {
			one := &piece{Chunk: c, place: a.places[c.Digest], at: p.spool}
			p.of[f.Name], p.content = append(p.of[f.Name], one), p.content+c.Size
			if one.place != nil {
				p.here = append(p.here, one)
			} else {
				lacking = append(lacking, one)
				p.spool += c.Size
			}
		}
	}
	p.runs = runsOf(lacking)
	for _, r := range p.runs {
		p.fetch += r.end - r.off
	}
	return p
}

// open starts putting it together, or says *squash.DearerError.
func (a *assembly) open(ctx context.Context) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	j, err := a.begin(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	group, joining := errgroup.WithContext(ctx)
	group.Go(func() error { return j.fetchLacking(joining, a.layer.Chunked.Part) })
	if a.layer.Size >= a.measuredFrom && j.dearer(joining, a.layer.Size) {
		cancel()
		j.gauge.decide()
		_ = group.Wait() // it was told to stop
		return nil, j.end(&squash.DearerError{Spent: a.layer.Chunked.TarSplit.Length + j.gauge.bytes})
	}
	j.gauge.decide()
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Go(func() error { return j.join(joining, w) })
		w.CloseWithError(j.end(group.Wait()))
	}()
	return &stream{r, func() { cancel(); <-done }}, nil
}

// A stream is a tar that is being put together.
type stream struct {
	*io.PipeReader
	end func()
}

func (s *stream) Close() error {
	err := s.PipeReader.Close()
	s.end()
	return err
}
