package rotationtest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

var places atomic.Int64

// memoryPlace makes the suite act on a Memory, by way of other stores.
func memoryPlace(m *Memory, store func() rotation.Store) *StorePlace {
	return &StorePlace{
		Store:  store(),
		Reader: m.Reader(),
		Reopen: store,
		Set:    m.Set,
		Fail: func(class error) (restore func()) {
			m.Fail(class)
			return func() { m.Fail(nil) }
		},
		Hang: m.Hang,
		Lose: m.Lose,
		Lag: func() (settle func()) {
			m.Lag(1 << 60)
			return func() { m.Lag(0) }
		},
	}
}

func newMemoryForTest() *Memory { return NewMemory(fmt.Sprint("test-", places.Add(1))) }

func TestMemory(t *testing.T) {
	RunStore(t, StoreHarness{New: func(testing.TB) *StorePlace {
		m := newMemoryForTest()
		return memoryPlace(m, func() rotation.Store { return m })
	}})
}

// The Reader of a Memory is a provider like others.
func TestMemoryReader(t *testing.T) {
	keyprovidertest.Run(t, keyprovidertest.Harness{New: func(testing.TB) *keyprovidertest.Place {
		m := newMemoryForTest()
		return &keyprovidertest.Place{Provider: m.Reader(), Set: m.Set}
	}})
}

// servicePlace makes the suite act on a Service.
func servicePlace(s *Service, i *ServiceIssuer, issuer rotation.Issuer) *IssuerPlace {
	return &IssuerPlace{
		Issuer:  issuer,
		Foreign: func() string { return s.NewKey("svc_other", "somebody's", 0).Info().ID },
		Disable: s.Disable,
		Use: func(k *keyprovider.Key) {
			if err := s.Call(k); err != nil {
				panic(err)
			}
		},
		Fail: func(class error) (restore func()) {
			i.Fail(class)
			return func() { i.Fail(nil) }
		},
		Doubt: i.Doubt,
		Hang:  i.Hang,
		Lose:  i.Lose,
	}
}

func TestServiceIssuer(t *testing.T) {
	RunIssuer(t, IssuerHarness{New: func(testing.TB) *IssuerPlace {
		s := NewService()
		i := s.Issuer("svc_1")
		return servicePlace(s, i, i)
	}})
}
