// The steps of a run as bars over time. A running bar grows by itself; each rerun only corrects it.
const ICON={green:'M3.5 8.5l3 3 6-7',red:'M4.5 4.5l7 7m0-7l-7 7',gray:'M8 4.5V8l2.5 1.5'};
const esc=x=>String(x??'').replace(/[&<>"']/g,c=>'&#'+c.charCodeAt(0)+';');
const dur=m=>{const s=m/1e3;return s<1?Math.round(m)+' ms':s<60?s.toFixed(1)+' s':s<3600?Math.floor(s/60)+' min '+Math.floor(s%60)+' s':Math.floor(s/3600)+' h '+Math.floor(s%3600/60)+' min'};
export default function({parentElement:root,data}){
 let S=root._G;if(!S){S=root._G={};}
 S.data=data;const box=root.querySelector('.g');
 const tick=()=>{const d=S.data,now=Date.now()+(S.skew||0),st=d.steps;let spans=st.map(s=>[s.s,s.e??(d.live?Math.max(now,s.s):s.s)]);
  let t0=Math.min(d.start??Infinity,...spans.map(x=>x[0])),t1=Math.max(...spans.map(x=>x[1]),d.end??0,d.live?now:0,t0+1);
  const work=spans.reduce((n,[a,b])=>n+b-a,0);
  if(t1-t0>4*work+2000&&!d.live){let at=0;spans=spans.map(([a,b])=>{const l=Math.max(1,b-a),r=[at,at+l];at+=l;return r});t0=0;t1=Math.max(1,at)}
  const w=t1-t0,rows=box.querySelectorAll('.row');
  rows.forEach((r,i)=>{const s=st[i],[a,b]=spans[i],bar=r.querySelector('.bar');bar.style.left=(100*(a-t0)/w).toFixed(2)+'%';bar.style.width=Math.max(.6,100*(b-a)/w).toFixed(2)+'%';
   const t=dur((s.e??(d.live?Math.max(now,s.s):s.s))-s.s),el=r.querySelector('.t');if(el.textContent!==t)el.textContent=t});
  const ax=box.querySelector('.axis');if(ax){const h=[0,.25,.5,.75,1].map(f=>`<span style="left:${f*100}%">${f?dur(f*w):'0'}</span>`).join('');if(ax._h!==h){ax.innerHTML=h;ax._h=h}}};
 const h=data.steps.map(s=>`<div class="row ${esc(s.tone)}"><div class="l"><span class="i">${s.run?'<i class="spin"></i>':`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICON[s.tone]||ICON.gray}"/></svg>`}</span><span class="n">${esc(s.label)}<span class="vh"> ${esc(s.word)}</span>${s.note?`<small>${esc(s.note)}</small>`:''}</span></div><div class="track"><div class="bar${s.run?' go':''}"></div></div><div class="t"></div></div>`).join('');
 const full=(data.steps.length?`<div class="list" role="list" aria-label="Steps">${h}</div><div class="foot"><div class="axis" aria-hidden="true"></div></div>`:`<p class="none">${esc(data.empty)}</p>`);
 if(S.h!==full){box.innerHTML=full;S.h=full}
 if(data.steps.length)tick();
 clearInterval(S.timer);if(data.live&&data.steps.length)S.timer=setInterval(tick,100);
 return ()=>{clearInterval(S.timer);root._G=null}
}
