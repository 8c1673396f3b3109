"""Values of transformed functions, from JAX.

The programs are written again in src/golden.test.ts, under the same names.

    python transformations.py > ../../test-data/transformations.json
"""

import json

import jax
import jax.numpy as jnp
from jax import lax

out = {}

def f(x): return jnp.sum(jnp.tanh(x)*jnp.exp(-x*x)) + jnp.prod(jnp.sin(x))
x=jnp.array([0.3,-0.7,1.1])
out['grad']=jax.grad(f)(x).tolist()
out['hessian']=jax.hessian(f)(x).tolist()
out['third']=jax.grad(lambda y: jnp.sum(jax.grad(lambda z: jnp.sum(jax.grad(f)(z)*z))(y)))(x).tolist()
def mlp(p,x):
    h=jnp.tanh(x@p['w1']+p['b1']); return jnp.sum((h@p['w2'])**2)
p={'w1':jnp.linspace(-1,1,6).reshape(2,3),'b1':jnp.array([0.1,0.2,-0.3]),'w2':jnp.linspace(0.5,-0.5,3).reshape(3,1)}
xs=jnp.linspace(-1,1,8).reshape(4,2)
out['mlp']=jax.tree.map(lambda a:a.tolist(), jax.grad(mlp)(p,xs))
out['mlpVmap']=jax.vmap(lambda x: jax.grad(mlp)(p,x)['w1'])(xs).tolist()
def rnn(w,xs):
    c,ys=lax.scan(lambda c,x:(jnp.tanh(w@c+x), jnp.sum(c**2)), jnp.zeros(2), xs)
    return jnp.sum(c)+jnp.sum(ys)
w=jnp.array([[0.5,-0.2],[0.1,0.9]])
out['rnn']=jax.grad(rnn)(w,xs).tolist()
out['rnnHess']=jax.hessian(rnn)(w,xs).tolist()
def newton(a): return lax.while_loop(lambda x: jnp.abs(x*x-a)>1e-6, lambda x:0.5*(x+a/x), a)
out['newton']=float(jax.jacfwd(newton)(3.0))
out['vmapNewton']=jax.vmap(lambda a: jax.jvp(newton,(a,),(1.,))[1])(jnp.array([2.,3.,10.])).tolist()
def cnd(x): return lax.cond(x>0.5, lambda y: jnp.log(y)*y, lambda y: y**3, x)
out['cond']=jax.vmap(jax.grad(cnd))(jnp.array([0.2,0.7,-1.0])).tolist()
out['cond2']=jax.vmap(jax.grad(jax.grad(cnd)))(jnp.array([0.2,0.7,-1.0])).tolist()
def soft(x): return x/lax.psum(x,'i')+lax.pmax(lax.stop_gradient(x),'i')*lax.axis_index('i')
v=jax.vmap(soft,axis_name='i')
out['psum']=v(jnp.array([1.,3.,4.])).tolist()
out['psumJac']=jax.jacrev(v)(jnp.array([1.,3.,4.])).tolist()
out['hvp']=jax.jvp(jax.grad(f),(x,),(jnp.array([1.,2.,3.]),))[1].tolist()
out['ppermute']=jax.vmap(lambda x: lax.ppermute(x,'i',[(0, 1), (1, 2), (2, 0)]),axis_name='i')(jnp.array([1.,2.,3.])).tolist()
out['allGather']=jax.jacrev(jax.vmap(lambda x: jnp.sum(lax.all_gather(x,'i')**2)*x,axis_name='i'))(jnp.array([1.,2.,3.])).tolist()

print(json.dumps(out))
