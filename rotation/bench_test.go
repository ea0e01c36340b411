package rotation_test

import (
	"testing"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func BenchmarkSourceKey(b *testing.B) {
	source, err := rotation.NewSource(b.Context(), keyprovidertest.Static(keyprovidertest.NewSecret()), quiet(rotation.SourceOptions{}))
	if err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := source.Key(ctx); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkSourceAccept(b *testing.B) {
	source, err := rotation.NewSource(b.Context(), keyprovidertest.Static(keyprovidertest.NewSecret()), quiet(rotation.SourceOptions{}))
	if err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	k, _ := source.Key(b.Context())
	source.Accept(k)
	b.ReportAllocs()
	for b.Loop() {
		source.Accept(k)
	}
}
