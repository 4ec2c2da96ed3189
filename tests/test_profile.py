"""Placeholder."""
import warnings

import reference_cases as rc

warnings.simplefilter("ignore")
for name in rc.linear_cases()+rc.glmm_cases():
    case = rc.load(name) if name in rc.linear_cases() else rc.load_glmm(name)
    ref = case.results.get("confint_profile")
    w = case.results.get("confint_wald")
    if not (ref or w): continue
    fit = case.fit()
    for theirs, method in ((ref,"profile"),(w,"wald")):
        if not theirs: continue
        ours = fit.conf_int(method=method)
        keys = {frozenset(rc.plain(x).replace('|',':').replace('.',':').split(':')): i for i,x in enumerate(ours.index)}
        for r,(lo,hi) in zip(theirs['rows'],theirs['values']):
            k=frozenset(rc.plain(r).replace('|',':').replace('.',':').split(':'))
            if lo is None or k not in keys:
                if k not in keys: print(name, method, r, list(ours.index))
                continue
            o=ours.iloc[keys[k]]
            e=max(abs(o.lower-lo),abs(o.upper-hi))/(hi-lo)
            if method=="profile" or not e<1e-5: print(name,method,r,(lo,hi),tuple(o),'%.1e'%e)
